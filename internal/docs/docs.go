// Package docs embeds the interactive documentation; README.md names its source. It loads
// nothing from other sites.
package docs

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io"
)

// Files holds index.html, init.js, styles.js, style.css, and scalar.js.gz, the gzipped
// program that renders the documentation.
//
//go:embed index.html init.js styles.js scalar.js.gz style.css
var Files embed.FS

// Script returns the program that renders the documentation, decompressed.
func Script() ([]byte, error) {
	packed, err := Files.ReadFile("scalar.js.gz")
	if err != nil {
		return nil, err
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(unpacked)
}

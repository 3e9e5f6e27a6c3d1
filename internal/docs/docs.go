// Package docs holds the interactive documentation; README.md says where it is from.
// Nothing is loaded from elsewhere.
package docs

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io"
)

// Files are index.html, init.js, styles.js, style.css, and scalar.js.gz: the program that
// draws the documentation, packed.
//
//go:embed index.html init.js styles.js scalar.js.gz style.css
var Files embed.FS

// Script returns the program that draws the documentation, as a browser loads it.
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

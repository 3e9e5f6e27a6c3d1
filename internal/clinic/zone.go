package clinic

import (
	"archive/zip"
	_ "embed"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// zoneData is the IANA time zone database as Go distributes it: a copy of
// lib/time/zoneinfo.zip of the toolchain. To update it, copy the file again.
//
//go:embed zoneinfo.zip
var zoneData string

// zoneFiles lists the embedded zones by name.
var zoneFiles = sync.OnceValue(func() map[string]*zip.File {
	archive, err := zip.NewReader(strings.NewReader(zoneData), int64(len(zoneData)))
	if err != nil {
		panic(fmt.Sprintf("read the embedded time zone database: %v", err))
	}
	files := make(map[string]*zip.File, len(archive.File))
	for _, f := range archive.File {
		// Factory is the placeholder for a machine without a zone.
		if !strings.HasSuffix(f.Name, "/") && f.Name != "Factory" {
			files[f.Name] = f
		}
	}
	return files
})

// loadedZones caches LoadZone's results by name.
var loadedZones sync.Map

// ParseZone is LoadZone for a request's time_zone. Errors: CodeValidationFailed.
func ParseZone(name string) (*time.Location, error) {
	zone, err := LoadZone(name)
	if err != nil {
		return nil, Invalid(Violation{Pointer: "#/time_zone", Code: "invalid", Detail: "is no name of the IANA time zone database"})
	}
	return zone, nil
}

// LoadZone returns a zone of the embedded IANA time zone database. Unlike time.LoadLocation
// it does not read the host's, which may be of another release and has names that are not
// zones (posixrules, localtime) or count leap seconds (right/Europe/Zurich). Names are
// case-sensitive.
func LoadZone(name string) (*time.Location, error) {
	if zone, ok := loadedZones.Load(name); ok {
		return zone.(*time.Location), nil //nolint:forcetypeassert // nothing else is stored
	}
	if name == "UTC" {
		return time.UTC, nil
	}
	file, known := zoneFiles()[name]
	if !known {
		return nil, fmt.Errorf("no time zone is called %q", name)
	}
	reader, err := file.Open()
	if err != nil {
		return nil, fmt.Errorf("open time zone %s: %w", name, err)
	}
	defer func() { _ = reader.Close() }() // in memory
	data, err := io.ReadAll(reader)
	if err != nil {
		return nil, fmt.Errorf("read time zone %s: %w", name, err)
	}
	zone, err := time.LoadLocationFromTZData(name, data)
	if err != nil {
		return nil, fmt.Errorf("parse time zone %s: %w", name, err)
	}
	loadedZones.Store(name, zone)
	return zone, nil
}

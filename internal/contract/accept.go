package contract

import (
	"mime"
	"slices"
	"strconv"
	"strings"
)

// accepts reports whether an Accept header allows one of the media types (RFC 9110 section
// 12.5.1). A missing header, or an empty produces, allows all.
func accepts(header, produces []string) bool {
	all := strings.Join(header, ",")
	if strings.TrimSpace(all) == "" || len(produces) == 0 {
		return true
	}
	return slices.ContainsFunc(produces, func(p string) bool { return allows(all, p) })
}

// allows reports whether an Accept header allows one media type.
func allows(accept, mediaType string) bool {
	_, weight := weigh(accept, mediaType)
	return weight > 0
}

// Prefers reports whether an Accept header prefers one media type to another: by weight,
// then by specificity.
func Prefers(accept, mediaType, other string) bool {
	specific, weight := weigh(accept, mediaType)
	otherSpecific, otherWeight := weigh(accept, other)
	return weight > otherWeight || weight == otherWeight && specific > otherSpecific
}

// weigh returns the weight that an Accept header gives a media type: of the matching
// ranges, the most specific one decides (RFC 9110 section 12.5.1). specific is -1 if none
// matches.
func weigh(accept, mediaType string) (specific int, weight float64) {
	kind, _, _ := strings.Cut(mediaType, "/")
	ranges := []string{"*/*", kind + "/*", mediaType} // by increasing specificity
	specific = -1
	for element := range strings.SplitSeq(accept, ",") {
		mediaRange, params, err := mime.ParseMediaType(element)
		if err != nil {
			continue
		}
		q := 1.0
		if text := params["q"]; text != "" {
			if q, err = strconv.ParseFloat(text, 64); err != nil {
				q = 1
			}
		}
		switch at := slices.Index(ranges, mediaRange); {
		case at < specific || at < 0:
		case at > specific:
			specific, weight = at, q
		default:
			weight = max(weight, q)
		}
	}
	return specific, weight
}

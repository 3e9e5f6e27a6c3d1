package main

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"
)

// The timeline is drawn in bins of time: two charts, one above the other, on the same
// axis, with the faults as bands behind both.
const (
	chartWidth, chartHeight = 1000, 160
	chartLeft, chartTop     = 60, 30
	chartGap                = 40
	timelineBins            = 500
)

// timeline draws requests per second by class, the 99th percentile of the latency of
// responses, and the faults.
func (r *result) timeline() string {
	total := max(r.lasted, r.duration, time.Second)
	width := max(total/timelineBins, 250*time.Millisecond)
	bins := int(total/width) + 1
	counts := make([][classes]int, bins)
	latencies := make([][]time.Duration, bins)
	for _, t := range r.tries {
		i := min(int((t.at+t.took)/width), bins-1)
		counts[i][t.class]++
		if t.class == answered || t.class == declined {
			latencies[i] = append(latencies[i], t.took)
		}
	}
	good, bad, high := make([]float64, bins), make([]float64, bins), make([]float64, bins)
	for i, c := range counts {
		good[i] = float64(c[answered]+c[declined]) / width.Seconds()
		bad[i] = float64(c[unavailable]+c[uncertain]+c[unanswered]+c[broken]) / width.Seconds()
		if n := len(latencies[i]); n > 0 {
			slices.Sort(latencies[i])
			high[i] = latencies[i][n*99/100].Seconds()
		}
	}
	names := r.bandNames()
	second := chartTop + chartHeight + chartGap
	height := second + chartHeight + chartGap + 18*((len(names)+3)/4) + 10
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n", chartLeft+chartWidth+20, height)
	_, _ = fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/>`+"\n")
	x := func(at time.Duration) float64 { return chartLeft + chartWidth*at.Seconds()/total.Seconds() }
	for _, one := range r.bands {
		for _, top := range []int{chartTop, second} {
			_, _ = fmt.Fprintf(&b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s" fill-opacity="0.25"><title>%s: %s</title></rect>`+"\n",
				x(one.from), top, max(1, x(one.to)-x(one.from)), chartHeight, colour(one.name), one.name, one.detail)
		}
	}
	chart(&b, chartTop, "requests a second: answered or refused (green), failed (red)", "%.0f", []series{{good, "#1a7f37"}, {bad, "#cf222e"}})
	chart(&b, second, "seconds until the answer, 99th percentile", "%.1f", []series{{high, "#0969da"}})
	for i := range 11 {
		at := total * time.Duration(i) / 10
		_, _ = fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%.0f s</text>`+"\n", x(at), second+chartHeight+16, at.Seconds())
	}
	for i, name := range names {
		left, top := chartLeft+250*(i%4), second+chartHeight+chartGap+18*(i/4)
		_, _ = fmt.Fprintf(&b, `<rect x="%d" y="%d" width="12" height="12" fill="%s" fill-opacity="0.5"/><text x="%d" y="%d">%s</text>`+"\n",
			left, top, colour(name), left+18, top+10, name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// series is one line of a chart.
type series struct {
	values []float64
	colour string
}

// chart draws lines of one scale.
func chart(b *strings.Builder, top int, title, number string, lines []series) {
	most := 0.0
	for _, line := range lines {
		most = max(most, slices.Max(line.values))
	}
	if most == 0 {
		most = 1
	}
	bottom := top + chartHeight
	_, _ = fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`+"\n", chartLeft, top-8, title)
	_, _ = fmt.Fprintf(b, `<path d="M%d %dV%dH%d" fill="none" stroke="#666"/>`+"\n", chartLeft, top, bottom, chartLeft+chartWidth)
	_, _ = fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">`+number+`</text><text x="%d" y="%d" text-anchor="end">0</text>`+"\n",
		chartLeft-6, top+8, most, chartLeft-6, bottom)
	for _, line := range lines {
		_, _ = fmt.Fprintf(b, `<path fill="none" stroke="%s" d="`, line.colour)
		for i, v := range line.values {
			command := 'L'
			if i == 0 {
				command = 'M'
			}
			_, _ = fmt.Fprintf(b, "%c%.1f %.1f", command, chartLeft+chartWidth*(float64(i)+0.5)/float64(len(line.values)), float64(bottom)-chartHeight*v/most)
		}
		b.WriteString(`"/>` + "\n")
	}
}

// bandNames are the names of the faults, each once.
func (r *result) bandNames() []string {
	var names []string
	for _, one := range r.bands {
		if !slices.Contains(names, one.name) {
			names = append(names, one.name)
		}
	}
	return names
}

// colour returns a name's colour, the same in every report.
func colour(name string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	return fmt.Sprintf("hsl(%d 70%% 45%%)", h.Sum32()%360)
}

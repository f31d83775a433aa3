package trial

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/packet"
)

var tcVerdicts = map[uint32]string{
	^uint32(0): "TC_ACT_UNSPEC", 0: "TC_ACT_OK", 1: "TC_ACT_RECLASSIFY", 2: "TC_ACT_SHOT", 3: "TC_ACT_PIPE",
	4: "TC_ACT_STOLEN", 5: "TC_ACT_QUEUED", 6: "TC_ACT_REPEAT", 7: "TC_ACT_REDIRECT", 8: "TC_ACT_TRAP",
}

var xdpVerdicts = map[uint32]string{
	0: "XDP_ABORTED", 1: "XDP_DROP", 2: "XDP_PASS", 3: "XDP_TX", 4: "XDP_REDIRECT",
}

// Verdict is a return value with the name that it has for the program's type: "2
// (TC_ACT_SHOT)".
func Verdict(t ebpf.ProgramType, ret uint32) string {
	names := tcVerdicts
	if t == ebpf.XDP {
		names = xdpVerdicts
	}
	if n, ok := names[ret]; ok {
		return fmt.Sprintf("%d (%s)", int32(ret), n)
	}
	return fmt.Sprint(int32(ret))
}

// Text is a decoded value on one line.
func Text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// TextOptions say what WriteText shows beside the runs.
type TextOptions struct {
	// Entries shows the connections, Maps the elements of maps, Variables the
	// globals.
	Entries, Maps, Variables bool
	// Verbose shows fault reports in full.
	Verbose bool
	// Color marks faults and verdicts for a terminal.
	Color bool
}

// paint is text in a terminal's colour.
func paint(on bool, code, text string) string {
	if !on {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// The colours, as SGR parameters.
const (
	red    = "31;1"
	green  = "32"
	yellow = "33"
	bold   = "1"
)

// verdictColor tells dropped packets from those that go on.
func verdictColor(t ebpf.ProgramType, ret uint32) string {
	if Dropped(t, ret) {
		return yellow
	}
	return green
}

// Faults is how many runs the sanitizer stopped.
func (r *Report) Faults() (n int) {
	for _, p := range r.Programs {
		for _, run := range p.Runs {
			if run.Err != nil {
				n++
			}
		}
	}
	return n
}

// WriteDifferences writes what Compare found, for people; report is one of the two.
func WriteDifferences(w io.Writer, diffs []Difference, report *Report, color bool) error {
	var b strings.Builder
	runs := 0
	for _, p := range report.Programs {
		runs += len(p.Runs)
	}
	scope := strings.Join([]string{plural(len(report.Programs), "program"), plural(runs, "run"),
		plural(len(report.Maps), "map"), plural(len(report.Entries), "connection")}, ", ")
	if len(diffs) == 0 {
		fmt.Fprintf(&b, "%s: %s\n", paint(color, green, "equal"), scope)
	} else {
		fmt.Fprintf(&b, "%s in %s: %s\n", paint(color, red, "different"), plural(len(diffs), "place"), scope)
	}
	for _, d := range diffs {
		fmt.Fprintf(&b, "%s\n  bpfct  %s\n  kernel %s\n", paint(color, bold, d.Where), orNothing(d.A), orNothing(d.B))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// plural counts things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// maxItems is how many elements of a map, or of anything else that may be large,
// are shown to a person.
const maxItems = 32

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer, opts TextOptions) error {
	var b strings.Builder
	for i := range r.Programs {
		p := &r.Programs[i]
		fmt.Fprintf(&b, "program %s (%s)\n", paint(opts.Color, bold, p.Program), TypeName(p.Type))
		for j := range p.Runs {
			writeRun(&b, p.Type, j+1, len(p.Runs), &p.Runs[j], opts)
		}
		if opts.Variables && len(p.Variables) > 0 {
			b.WriteString("  variables\n")
			for k := range p.Variables {
				fmt.Fprintf(&b, "    %s = %s\n", p.Variables[k].Name, Text(p.Variables[k].Value()))
			}
		}
	}
	if opts.Maps {
		for i := range r.Maps {
			writeMap(&b, &r.Maps[i])
		}
	}
	if opts.Entries {
		fmt.Fprintf(&b, "connections: %d\n", len(r.Entries))
		for _, e := range r.Entries {
			fmt.Fprintf(&b, "  %s%s\n", e.in(), e.Text)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeRun(b *strings.Builder, t ebpf.ProgramType, n, of int, r *Run, opts TextOptions) {
	label := "  "
	if of > 1 {
		label = fmt.Sprintf("  #%d ", n)
	}
	pad := strings.Repeat(" ", len(label))
	if r.In != nil {
		fmt.Fprintf(b, "%sin   %s\n", label, packet.Format(r.In))
		label = pad
	}
	for _, line := range r.Trace {
		fmt.Fprintf(b, "%strace %s\n", label, strings.TrimRight(line, "\n"))
		label = pad
	}
	if r.Err != nil {
		text := fmt.Sprintf("%v", r.Err)
		if opts.Verbose {
			text = fmt.Sprintf("%+v", unwrapFault(r.Err))
		}
		fmt.Fprintf(b, "%s%s %s\n", label, paint(opts.Color, red, "FAULT"), strings.ReplaceAll(text, "\n", "\n"+pad))
		return
	}
	fmt.Fprintf(b, "%sret  %s", label, paint(opts.Color, verdictColor(t, r.Retval), Verdict(t, r.Retval)))
	if r.Redirect != 0 {
		fmt.Fprintf(b, " to device %d", r.Redirect)
	}
	b.WriteByte('\n')
	if r.In != nil && bytes.Equal(r.In, r.Packet) {
		fmt.Fprintf(b, "%sout  unchanged\n", pad)
	} else if r.In != nil {
		fmt.Fprintf(b, "%sout  %s\n", pad, packet.Format(r.Packet))
	}
}

func writeMap(b *strings.Builder, m *Map) {
	start := ""
	if m.Start {
		start = " at its start"
	}
	fmt.Fprintf(b, "map %s (%v): %d%s\n", m.Name, m.Type, len(m.Items), start)
	for i, it := range m.Items {
		if i == maxItems {
			fmt.Fprintf(b, "  … and %d more\n", len(m.Items)-maxItems)
			break
		}
		key, value := m.Decode(it)
		fmt.Fprintf(b, "  %s = %s\n", Text(key), Text(value))
	}
}

// unwrapFault finds the error whose %+v has the whole report.
func unwrapFault(err error) error {
	for e := err; e != nil; {
		if _, ok := e.(fmt.Formatter); ok {
			return e
		}
		u, ok := e.(interface{ Unwrap() error })
		if !ok {
			break
		}
		e = u.Unwrap()
	}
	return err
}

// WriteRefusals writes which programs are refused, and by whom, for people.
func WriteRefusals(w io.Writer, refused []Refusal, color bool) error {
	var b strings.Builder
	for _, r := range refused {
		if r.Agreed() {
			fmt.Fprintf(&b, "%s: both refuse program %s\n  %s\n", paint(color, green, "equal"), r.Program, r.Bpfct)
			continue
		}
		fmt.Fprintf(&b, "%s: verdict on program %s\n  bpfct  %s\n  kernel %s\n", paint(color, red, "different"), r.Program, r.Bpfct, r.Kernel)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

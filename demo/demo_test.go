package demo_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/bpfct/bpfct/demo"
	"github.com/bpfct/bpfct/kernel"
)

// TestRun plays the demonstration twice on every profile: the same again, and the
// gateway does what the text beside it says.
func TestRun(t *testing.T) {
	for _, p := range kernel.Profiles() {
		t.Run(p.Name, func(t *testing.T) {
			var first, second bytes.Buffer
			for _, b := range []*bytes.Buffer{&first, &second} {
				if err := demo.Run(b, demo.Options{Profile: p.Name}); err != nil {
					t.Fatal(err)
				}
			}
			if first.String() != second.String() {
				t.Error("two runs differ")
			}
			for _, want := range []string{
				"out  203.0.113.1:40000 > 198.51.100.9:443 tcp S",
				"out  198.51.100.9:443 > 10.0.0.7:40000 tcp S.",
				"nat_ingress returns 2 (TC_ACT_SHOT)",
				"TC_ACT_REDIRECT), to device 1",
				"[ASSURED]",
			} {
				if !strings.Contains(first.String(), want) {
					t.Errorf("no %q in\n%s", want, first.String())
				}
			}
			end := first.String()[strings.LastIndex(first.String(), "31 seconds"):]
			if n := strings.Count(end, "src=10.0.0."); n != 1 {
				t.Errorf("%d connections live on:\n%s", n, end)
			}
		})
	}
}

package packet

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The captures are of two Linux 6.18 hosts, taken by tcpdump: a TCP connection,
// refused ones, UDP to a closed port whole and in fragments, pings, over both
// families. Their checksums are right, every frame reads back from its text,
// and the text stays as it is.
func TestGoldenCaptures(t *testing.T) {
	files, err := filepath.Glob("testdata/captures/*.pcap")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		r, err := Open(name, ReaderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var text bytes.Buffer
		w, err := NewWriter(&text, WriterOptions{Format: FormatText})
		if err != nil {
			t.Fatal(err)
		}
		for p, err := range r.All() {
			if err != nil {
				t.Fatal(err)
			}
			info, err := Parse(p.Data, p.LinkType)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := VerifyL3(p.Data, &info); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err := VerifyL4(p.Data, &info); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			eth, err := ToEthernet(p.Data, p.LinkType)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			line := FormatOptions{}.Format(p.Data, p.LinkType)
			if got, err := ParseText(line); err != nil || !bytes.Equal(got, eth) {
				t.Errorf("%s: %s\nreads back as %x, %v, want\n%x", name, line, got, err, eth)
			}
			if err := w.Write(p); err != nil {
				t.Error(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		golden := strings.TrimSuffix(name, ".pcap") + ".txt"
		if *update {
			if err := os.WriteFile(golden, text.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		want = bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n"))
		if diff := cmp.Diff(string(want), text.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", golden, diff)
		}
	}
}

package explain

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/verifier"
)

var update = flag.Bool("update", false, "write testdata/*.txt and docs/errors anew")

const docs = "../../docs/errors"

// refuse verifies the only program of an example.
func refuse(t *testing.T, class string) (*link.Program, *verifier.Error) {
	t.Helper()
	spec, err := link.LoadFile(filepath.Join("testdata", class+".o"))
	if err != nil {
		t.Fatal(err)
	}
	obj, err := link.Link(spec, kernel.Default(), link.Options{KeepFaulty: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range obj.Programs {
		res, err := verifier.Verify(obj, name, verifier.Options{Log: verifier.LogPath})
		if err != nil {
			t.Fatal(err)
		}
		if res.Accepted() {
			t.Fatalf("program %s is accepted", name)
		}
		return p, res.Err
	}
	t.Fatal("the object has no program")
	return nil, nil
}

// golden compares with a file, or writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is out of date (run with -update if this is right):\n%s", file, diff)
	}
}

// source is an example's C without what is the same in all of them.
func source(t *testing.T, class string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", class+".c"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(data), "*/\n")
	if !ok {
		t.Fatalf("%s.c has no licence comment", class)
	}
	return text
}

func TestClasses(t *testing.T) {
	for _, c := range Classes() {
		t.Run(c.Name, func(t *testing.T) {
			prog, refusal := refuse(t, c.Name)
			x := Explain(prog, refusal)
			if x.Class != c.Name {
				t.Errorf("the example is of class %q: %q", x.Class, refusal.Lines)
			}
			var text strings.Builder
			if err := x.WriteText(&text, false); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", c.Name+".txt"), text.String())
			golden(t, filepath.Join(docs, c.Name+".md"), c.Page(source(t, c.Name), text.String()))
		})
	}
	golden(t, filepath.Join(docs, "README.md"), Index())
}

func TestUnknownMessage(t *testing.T) {
	prog, refusal := refuse(t, "may-be-null")
	refusal.Message, refusal.Lines = "something new", []string{"something new"}
	x := Explain(prog, refusal)
	if x.Class != "" || x.Page != "" || len(x.Path) != 1 || x.Path[0].Line == 0 {
		t.Errorf("explanation of an unknown message: %+v", x)
	}
	var text strings.Builder
	if err := x.WriteText(&text, true); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "something new") {
		t.Errorf("the kernel's words are missing:\n%s", text.String())
	}
}

func TestOrphanPages(t *testing.T) {
	known := map[string]bool{"README": true}
	for _, c := range Classes() {
		if known[c.Name] {
			t.Errorf("two classes are called %s", c.Name)
		}
		known[c.Name] = true
	}
	pages, err := filepath.Glob(filepath.Join(docs, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if name := strings.TrimSuffix(filepath.Base(p), ".md"); !known[name] {
			t.Errorf("%s is of no class", p)
		}
	}
}

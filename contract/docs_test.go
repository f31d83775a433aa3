package contract

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/contract.md instead of comparing it")

// tests are the names of this package's tests and the files they stand in.
func tests(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]string)
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(fn.Name.Name, "Test") {
				out[fn.Name.Name] = file
			}
		}
	}
	return out
}

// TestSentences wants a test for each sentence and a sentence for each test.
func TestSentences(t *testing.T) {
	have := tests(t)
	seen := make(map[string]bool)
	for _, s := range Sentences() {
		if seen[s.Test] {
			t.Errorf("two sentences have the test %s", s.Test)
		}
		seen[s.Test] = true
		name, _, sub := strings.Cut(s.Test, "/")
		if have[name] == "" {
			t.Errorf("%q has no test: there is no %s", s.Text, name)
		}
		if sub {
			seen[name] = true
		}
		if s.Text == "" || s.Section == "" || s.Engines == 0 {
			t.Errorf("%s: the sentence is not complete", s.Test)
		}
	}
	for name := range have {
		if (strings.HasPrefix(name, "TestSeed_") || strings.HasPrefix(name, "TestFacts_")) && !seen[name] {
			t.Errorf("%s tests no sentence", name)
		}
	}
}

// page is docs/contract.md.
func page(files map[string]string) []byte {
	var b bytes.Buffer
	b.WriteString(`# The contract

What bpfct promises of the conntrack kernel functions. Each sentence stands in the documentation of ` + "`bpf_skb_ct_alloc`" + ` or was measured on
Linux 6.18, and has a test of package [contract](../contract) with that name. A test runs for tc and XDP and for both families on
each engine that its row names: bpfct as Linux 6.18, bpfct as documented (profile ` + "`documented`" + `), and the running kernel. What
bpfct and the kernel leave behind is compared to the byte, the options with what stands behind them included.

    go test ./contract                                                  # the kernel's half as root only
    BPFCT_REQUIRE_KERNEL=1 go test ./contract                           # as root: without a kernel it fails
    go test ./contract -run Generated -v -contract.sequences=20000      # as root: random sequences of calls on both
    go test ./contract -run Docs -update                                # writes this page

`)
	section := ""
	for _, s := range Sentences() {
		head, columns := "## Measured: "+s.Section, "| sentence | kernel functions | test | engines |\n|---|---|---|---|\n"
		if s.Source == Seed {
			head, columns = "## The documentation", "| of | sentence | kernel functions | test | engines |\n|---|---|---|---|---|\n"
		}
		if head != section {
			if section != "" {
				b.WriteString("\n")
			}
			section = head
			fmt.Fprintf(&b, "%s\n\n%s", head, columns)
		}
		text := escape(s.Text)
		if s.Note != "" {
			text += " *(" + escape(s.Note) + ")*"
		}
		if s.Source == Seed {
			fmt.Fprintf(&b, "| %s ", escape(s.Section))
		}
		name, _, _ := strings.Cut(s.Test, "/")
		fmt.Fprintf(&b, "| %s | %s | [%s](../contract/%s) | %s |\n", text, kfuncs(s.Kfuncs), s.Test, files[name], s.Engines)
	}
	return b.Bytes()
}

// escape keeps Markdown from reading signs in a sentence, but for code in backquotes.
func escape(s string) string {
	parts := strings.Split(s, "`")
	for i := range parts {
		if i%2 == 0 {
			parts[i] = strings.NewReplacer(">", "&gt;", "<", "&lt;", "_", `\_`, "*", `\*`, "[", `\[`).Replace(parts[i])
		}
		parts[i] = strings.ReplaceAll(parts[i], "|", `\|`)
	}
	return strings.Join(parts, "`")
}

func kfuncs(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = "`" + n + "`"
	}
	return strings.Join(out, " ")
}

// TestDocs wants docs/contract.md to be what the sentences make.
func TestDocs(t *testing.T) {
	const file = "../docs/contract.md"
	want := page(tests(t))
	if *update {
		if err := os.WriteFile(file, want, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n")), want) {
		t.Errorf("%s is not current: run go test ./contract -run Docs -update", file)
	}
}

package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const program = `#include "bpfct.h"
BPFCT_LICENSE;
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ENTRIES);
	__type(key, u32);
	__type(value, u32);
} counts SEC(".maps");
u32 seen;
SEC("tc")
int count(struct __sk_buff *skb)
{
	u32 zero = 0, *n = bpf_map_lookup_elem(&counts, &zero);

	if (n)
		seen = ++*n;
	return RESULT;
}
`

// compiler skips without the tools. It gives them and a directory that they
// take for the module.
func compiler(t *testing.T) (*tools, string) {
	t.Helper()
	tools, err := findTools()
	if err != nil {
		t.Skip(err)
	}
	if runtime.GOOS != "linux" {
		t.Skip("the C headers are Linux's")
	}
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(tools.root, "bpf"), filepath.Join(dir, "bpf")); err != nil {
		t.Fatal(err)
	}
	tools.root = dir
	return tools, dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyTree(t *testing.T) {
	tools, dir := compiler(t)
	src, obj := filepath.Join(dir, "prog.c"), filepath.Join(dir, "prog.o")
	write(t, src, program)
	line := generatePrefix + "-X -DRESULT=1 -X -DENTRIES=2 prog.c\n"
	write(t, filepath.Join(dir, "gen.go"), "package gen\n\n"+line)
	compile := func(args ...string) {
		t.Helper()
		j, err := parseJob(flag.NewFlagSet("", flag.ContinueOnError), append(args, src))
		if err != nil {
			t.Fatal(err)
		}
		if err := tools.compile(j, src, obj); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string, wantBad int, want string) {
		t.Helper()
		var out bytes.Buffer
		bad, err := verifyTree(&out, tools, dir)
		if err != nil || bad != wantBad || !strings.Contains(out.String(), want) {
			t.Errorf("%s: %d bad, %v, want %d; output\n%swant %q", what, bad, err, wantBad, &out, want)
		}
	}
	check("nothing there", 1, "no such file")
	compile("-X", "-DRESULT=1", "-X", "-DENTRIES=2")
	check("as made", 0, "1 objects compared, 0 bad")
	compile("-X", "-DRESULT=2", "-X", "-DENTRIES=2")
	check("another instruction", 1, "program count: instruction ")
	compile("-X", "-DRESULT=1", "-X", "-DENTRIES=3")
	check("another map", 1, "map counts: committed Array key=4 value=4 entries=3")
	compile("-X", "-DRESULT=1", "-X", "-DENTRIES=2", "-X", "-Dseen=met")
	check("another variable", 1, "variable ")
	compile("-X", "-DRESULT=1", "-X", "-DENTRIES=2", "-X", "-Dcount=tally")
	check("another program", 1, "program ")
	compile("-X", "-DRESULT=1", "-X", "-DENTRIES=2", "-keep-dwarf")
	check("other bytes, same meaning", 0, "0 bad")
	compile("-X", "-DRESULT=1", "-X", "-DENTRIES=2", "-target", "bpfeb")
	check("other byte order", 1, "byte order")
	write(t, obj, "not an object")
	check("garbage", 1, "committed: ")
	compile("-X", "-DRESULT=1", "-X", "-DENTRIES=2")
	write(t, filepath.Join(dir, "stray.o"), "")
	check("stray object", 1, "stray.o: no //go:generate line makes it")
}

func TestObjectsNameNoMachinePath(t *testing.T) {
	tools, dir := compiler(t)
	src, obj := filepath.Join(dir, "prog.c"), filepath.Join(dir, "prog.o")
	write(t, src, program)
	j := &job{cpu: "v3", target: "bpf", opt: "2", flags: multi{"-DRESULT=1", "-DENTRIES=2"}}
	for _, keep := range []bool{false, true} {
		j.keep = keep
		if err := tools.compile(j, src, obj); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(obj)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(tools.root)) {
			t.Errorf("keep-dwarf %v: the object names %s", keep, tools.root)
		}
	}
}

func TestParseJob(t *testing.T) {
	parse := func(args ...string) (*job, error) {
		fs := flag.NewFlagSet("", flag.ContinueOnError)
		fs.SetOutput(&bytes.Buffer{})
		return parseJob(fs, args)
	}
	j, err := parse("-cpu", "v4", "-X", "-DA=1", "-X", "-DB", "dir/a.c", "b.c")
	if err != nil || j.cpu != "v4" || j.flags.String() != "-DA=1 -DB" || j.objectOf("dir/a.c") != "dir/a.o" {
		t.Errorf("%+v, %v", j, err)
	}
	if j, err := parse("-o", "x.o", "a.c"); err != nil || j.objectOf("a.c") != "x.o" {
		t.Errorf("%+v, %v", j, err)
	}
	for _, args := range [][]string{{"-o", "x.o", "a.c", "b.c"}, {"-o", "x.o"}, {"-none"}} {
		if _, err := parse(args...); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}

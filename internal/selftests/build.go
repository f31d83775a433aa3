package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// parts are what is needed of the kernel's tree.
var parts = []string{
	"tools/testing/selftests/bpf", "tools/lib/bpf", "tools/include", "tools/arch/x86", "scripts/bpf_doc.py",
}

// wanted finds programs of the types that the verifier knows.
var wanted = regexp.MustCompile(`SEC\("\??(tc|tcx|classifier|action|xdp|netkit|socket|cgroup/skb|cgroup_skb)`)

var include = regexp.MustCompile(`(?m)^#include "([^"]+)"`)

// build makes the corpus of objects in dir, unless it is there.
func build(dir, source string) error {
	obj := filepath.Join(dir, "obj")
	if found, err := filepath.Glob(filepath.Join(obj, "*.bpf.o")); err == nil && len(found) > 0 {
		return nil
	}
	for _, tool := range []string{"clang-19", "bpftool", "tar", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("the corpus needs %s: %w", tool, err)
		}
	}
	if _, err := os.Stat(source); err != nil {
		return fmt.Errorf("the kernel's sources (Debian's package linux-source-6.12): %w", err)
	}
	name := strings.TrimSuffix(filepath.Base(source), ".tar.xz")
	tree := filepath.Join(dir, "src", name)
	b := &builder{tree: tree, progs: filepath.Join(tree, "tools/testing/selftests/bpf"), inc: filepath.Join(dir, "inc"), obj: obj}
	for _, d := range []string{filepath.Join(dir, "src"), filepath.Join(b.inc, "bpf"), obj} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	args := []string{"xJf", source, "-C", filepath.Join(dir, "src")}
	for _, p := range parts {
		args = append(args, name+"/"+p)
	}
	if out, err := exec.Command("tar", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("unpack %s: %w: %s", source, err, out)
	}
	if err := b.headers(); err != nil {
		return err
	}
	return b.compileAll()
}

type builder struct{ tree, progs, inc, obj string }

// headers collects what the programs include: libbpf's headers and the types of
// the running kernel.
func (b *builder) headers() error {
	for _, h := range []string{"bpf_core_read.h", "bpf_endian.h", "bpf_helpers.h", "bpf_tracing.h"} {
		data, err := os.ReadFile(filepath.Join(b.tree, "tools/lib/bpf", h))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(b.inc, "bpf", h), data, 0o644); err != nil {
			return err
		}
	}
	for file, cmd := range map[string]*exec.Cmd{
		"bpf/bpf_helper_defs.h": exec.Command("python3", filepath.Join(b.tree, "scripts/bpf_doc.py"), "--header",
			"--file", filepath.Join(b.tree, "tools/include/uapi/linux/bpf.h")),
		"vmlinux.h": exec.Command("bpftool", "btf", "dump", "file", "/sys/kernel/btf/vmlinux", "format", "c"),
	} {
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("make %s: %w", file, err)
		}
		if err := os.WriteFile(filepath.Join(b.inc, file), out, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// candidates are the sources with a wanted section, of their own or in a file that
// they include.
func (b *builder) candidates() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(b.progs, "progs/*.c"))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		if err != nil || wanted.Match(text) {
			return err != nil
		}
		for _, m := range include.FindAllSubmatch(text, -1) {
			for _, d := range []string{"progs", "."} {
				if inner, err := os.ReadFile(filepath.Join(b.progs, d, string(m[1]))); err == nil && wanted.Match(inner) {
					return false
				}
			}
		}
		return true
	}), nil
}

func (b *builder) compileAll() error {
	files, err := b.candidates()
	if err != nil {
		return err
	}
	sys, err := systemIncludes()
	if err != nil {
		return err
	}
	work := make(chan string)
	var wg sync.WaitGroup
	var mu sync.Mutex
	failed := 0
	for range runtime.NumCPU() {
		wg.Go(func() {
			for file := range work {
				// Sources that want a newer kernel than the types are from do not
				// compile; there is nothing to compare then.
				if b.compile(file, sys) != nil {
					mu.Lock()
					failed++
					mu.Unlock()
				}
			}
		})
	}
	for _, f := range files {
		work <- f
	}
	close(work)
	wg.Wait()
	fmt.Printf("compiled %d of %d sources\n", len(files)-failed, len(files))
	if failed == len(files) {
		return errors.New("no source compiled")
	}
	return nil
}

func (b *builder) compile(file string, sys []string) error {
	base := strings.TrimSuffix(filepath.Base(file), ".c")
	args := []string{"-g", "-O2", "--target=bpf", "-mcpu=v3", "-mlittle-endian", "-D__TARGET_ARCH_x86",
		"-DENABLE_ATOMICS_TESTS", "-std=gnu11", "-Wno-everything"}
	if base == "test_l4lb_noinline" || base == "test_xdp_noinline" {
		args = append(args, "-fno-inline")
	}
	args = append(args, "-I"+b.inc, "-I.", "-Iprogs", "-I"+filepath.Join(b.tree, "tools/include/uapi"))
	args = append(args, sys...)
	args = append(args, "-c", file, "-o", filepath.Join(b.obj, base+".bpf.o"))
	cmd := exec.Command("clang-19", args...)
	cmd.Dir = b.progs
	return cmd.Run()
}

// systemIncludes are the host's include directories, which clang leaves out for BPF.
func systemIncludes() ([]string, error) {
	out, err := exec.Command("clang-19", "-v", "-E", "-x", "c", "/dev/null").CombinedOutput()
	if err != nil {
		return nil, err
	}
	_, list, _ := strings.Cut(string(out), "#include <...> search starts here:")
	list, _, _ = strings.Cut(list, "End of search list.")
	var args []string
	for _, d := range strings.Fields(list) {
		args = append(args, "-idirafter", d)
	}
	return args, nil
}

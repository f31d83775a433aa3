//go:build linux

// Command gen writes the tables of one kernel profile: the BTF of the running
// kernel, its constants, and the prototypes of its helpers and kfuncs.
//
//	cd kernel && go run ./internal/gen -out profiles/6.18
//
// The names and C types of helpers come from libbpf's bpf_helper_defs.h, those
// of kfuncs from BTF. With root it then asks the kernel what each of them
// takes, and who may call it. It does not write profile.json, which people do.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf/btf"
	"github.com/klauspost/compress/zstd"

	"github.com/bpfct/bpfct/kernel"
)

func main() {
	log.SetFlags(0)
	out := flag.String("out", "profiles/6.18", "directory of the profile")
	vmlinux := flag.String("btf", "/sys/kernel/btf/vmlinux", "BTF of the kernel")
	defs := flag.String("helpers", "/usr/include/bpf/bpf_helper_defs.h", "libbpf's declarations of helpers")
	probe := flag.Bool("probe", true, "ask the running kernel")
	flag.Parse()
	if err := run(*out, *vmlinux, *defs, *probe); err != nil {
		log.Fatal(err)
	}
}

func run(out, vmlinux, defs string, probe bool) error {
	raw, err := os.ReadFile(vmlinux)
	if err != nil {
		return err
	}
	spec, err := btf.LoadSpecFromReader(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	if err := writeBTF(filepath.Join(out, "btf.zst"), raw); err != nil {
		return err
	}
	consts, funcIDs, kfuncs, err := scan(spec)
	if err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(out, "constants.json"), consts); err != nil {
		return err
	}
	if err := writeConfig(filepath.Join(out, "config.txt")); err != nil {
		return err
	}
	helpers, err := readHelpers(defs, funcIDs)
	if err != nil {
		return err
	}
	protos, err := describeKfuncs(kfuncs)
	if err != nil {
		return err
	}
	if probe {
		if err := measure(spec, helpers, protos, usable()); err != nil {
			return err
		}
	}
	for _, p := range append(helpers[:len(helpers):len(helpers)], protos...) {
		p.Callback = callbacks[p.Name]
	}
	if err := writeTable(filepath.Join(out, "helpers.json"), helpers); err != nil {
		return err
	}
	return writeTable(filepath.Join(out, "kfuncs.json"), protos)
}

func writeBTF(name string, raw []byte) error {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	return os.WriteFile(name, enc.EncodeAll(raw, nil), 0o644)
}

func writeJSON(name string, v any) error {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(b, '\n'), 0o644)
}

// writeTable writes one prototype a line, so that a change shows as a line.
func writeTable(name string, protos []*kernel.Prototype) error {
	var b bytes.Buffer
	b.WriteString("[\n")
	for i, p := range protos {
		line := new(bytes.Buffer)
		enc := json.NewEncoder(line)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(p); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		b.Write(bytes.TrimSpace(line.Bytes()))
		if i < len(protos)-1 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	b.WriteString("]\n")
	return os.WriteFile(name, b.Bytes(), 0o644)
}

// writeConfig copies the options of the running kernel that are set.
func writeConfig(name string) error {
	f, err := os.Open("/proc/config.gz")
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "CONFIG_") {
			b.WriteString(line)
		}
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}

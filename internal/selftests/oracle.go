package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/verdict"
	"github.com/bpfct/bpfct/live"
)

// oracle is the kernel, which is asked once and remembered in a file.
type oracle struct {
	file    string
	refresh bool

	kernel string // release of the running kernel
	known  map[string]map[string]verdict.Verdict
	host   *live.Host // nil before it is needed
	asked  bool
}

// read reads what the kernel said before.
func (k *oracle) read() error {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return err
	}
	k.kernel = strings.TrimSpace(string(release))
	k.known = make(map[string]map[string]verdict.Verdict)
	if k.refresh {
		return nil
	}
	return readJSON(k.file, &k.known)
}

// ask gives the kernel's verdicts on programs of an object.
func (k *oracle) ask(file string, spec *ebpf.CollectionSpec, names []string) (map[string]verdict.Verdict, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	key := k.kernel + " " + hex.EncodeToString(sum[:8])
	known := k.known[key]
	if known == nil {
		known = make(map[string]verdict.Verdict)
		k.known[key] = known
	}
	var missing []string
	for _, name := range names {
		if _, ok := known[name]; !ok {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return known, nil
	}
	if k.host == nil {
		if k.host, err = live.NewHost(live.Options{}); err != nil {
			return nil, err
		}
	}
	fresh, err := verdict.Kernel(k.host.Namespace(""), spec, missing)
	if err != nil {
		return nil, err
	}
	for name, v := range fresh {
		known[name] = v
	}
	k.asked = true
	return known, nil
}

// write remembers what was asked.
func (k *oracle) write() error {
	if !k.asked {
		return nil
	}
	data, err := json.Marshal(k.known)
	if err != nil {
		return err
	}
	return os.WriteFile(k.file, data, 0o644)
}

func (k *oracle) close() {
	if k.host != nil {
		k.host.Close()
	}
}

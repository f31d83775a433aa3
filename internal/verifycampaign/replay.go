package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/live"
	"github.com/bpfct/bpfct/verifier"
)

// replay prints both logs of each mutant in a file that -out wrote.
func (c *campaign) replay(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var m mutant
		if err := json.Unmarshal(s.Bytes(), &m); err != nil {
			return err
		}
		fmt.Fprintf(c.log, "=== %s\n", s.Bytes())
		if err := c.logs(&m); err != nil {
			return err
		}
	}
	return s.Err()
}

// logs prints both logs of a mutant.
func (c *campaign) logs(m *mutant) error {
	spec, err := link.LoadFile(m.Object)
	if err != nil {
		return err
	}
	p := spec.Programs[m.Program]
	if p == nil {
		return fmt.Errorf("%s has no program %s", m.Object, m.Program)
	}
	if err := applyAll(p.Instructions, m.Edits); err != nil {
		return err
	}
	coll, err := c.ns.LoadCollection(spec, &live.CollectionOptions{
		Programs: []string{m.Program}, KeepGoing: true, LogLevel: ebpf.LogLevelBranch,
	})
	if err != nil {
		return err
	}
	defer coll.Close()
	fmt.Fprintf(c.log, "--- kernel: %v\n%s\n", coll.Verdicts[m.Program].Err, strings.Join(coll.Verdicts[m.Program].Log, "\n"))
	obj, err := link.Link(spec, kernel.Default(), link.Options{Programs: []string{m.Program}, KeepFaulty: true})
	if err != nil {
		return err
	}
	res, err := verifier.Verify(obj, m.Program, verifier.Options{Log: verifier.LogPath})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.log, "--- bpfct: %v\n%s", res.Err, res.Log)
	return nil
}

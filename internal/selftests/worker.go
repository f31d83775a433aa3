package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/internal/verdict"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/verifier"
)

// workerStates bounds the memory of one verification.
const workerStates = 1 << 30

// question is a program that a worker is asked about.
type question struct{ Object, Program string }

// work answers questions from in until there are no more. Verifications happen in
// processes of their own, so that one that does not end, or takes the process with it,
// is a finding and not the end of the campaign.
func work(in io.Reader, out io.Writer) error {
	d, e := json.NewDecoder(in), json.NewEncoder(out)
	var spec *ebpf.CollectionSpec
	last := ""
	for {
		var q question
		if err := d.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if q.Object != last {
			var err error
			if spec, err = bpfct.LoadCollectionSpec(q.Object); err != nil {
				return err
			}
			last = q.Object
		}
		v := verdict.Own(spec, kernel.Default(), q.Program, verifier.Options{Log: verifier.LogPath, MaxStateBytes: workerStates})
		if err := e.Encode(v); err != nil {
			return err
		}
	}
}

// worker is a process that answers questions.
type worker struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr *bytes.Buffer
}

func startWorker() (*worker, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w := &worker{cmd: exec.Command(self, "-worker"), stderr: new(bytes.Buffer)}
	w.cmd.Stderr = w.stderr
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.out = bufio.NewReader(out)
	return w, w.cmd.Start()
}

// stop ends the process.
func (w *worker) stop() {
	w.in.Close()
	w.cmd.Process.Kill()
	w.cmd.Wait()
}

// ask gives the verdict of the worker, and false when it is no use any more.
func (w *worker) ask(q question, limit time.Duration) (verdict.Verdict, bool) {
	if err := json.NewEncoder(w.in).Encode(q); err != nil {
		return w.died(), false
	}
	timer := time.AfterFunc(limit, func() { w.cmd.Process.Kill() })
	line, err := w.out.ReadBytes('\n')
	if !timer.Stop() {
		return verdict.Verdict{Kind: verdict.Crashed, Line: fmt.Sprintf("no answer after %v", limit)}, false
	}
	if err != nil {
		return w.died(), false
	}
	var v verdict.Verdict
	if err := json.Unmarshal(line, &v); err != nil {
		return verdict.Verdict{Kind: verdict.Crashed, Line: err.Error()}, false
	}
	return v, true
}

// died tells of a process that ended by itself.
func (w *worker) died() verdict.Verdict {
	w.in.Close()
	w.cmd.Wait()
	line, _, _ := strings.Cut(w.stderr.String(), "\n")
	return verdict.Verdict{Kind: verdict.Crashed, Line: "the process died: " + line}
}

// askWorkers fills in our verdicts.
func askWorkers(all []*comparison, jobs int, limit time.Duration) error {
	queue := make(chan *comparison)
	errs := make(chan error, jobs)
	var wg sync.WaitGroup
	for range jobs {
		wg.Go(func() {
			var w *worker
			for c := range queue {
				if w == nil {
					var err error
					if w, err = startWorker(); err != nil {
						errs <- err
						break
					}
				}
				ok := true
				if c.Own, ok = w.ask(question{c.Object, c.Program}, limit); !ok {
					w.stop()
					w = nil
				}
			}
			for range queue {
				// The campaign failed; nobody else takes what is left.
			}
			if w != nil {
				w.stop()
			}
		})
	}
	for _, c := range all {
		queue <- c
	}
	close(queue)
	wg.Wait()
	close(errs)
	return <-errs
}

package trial

import (
	"fmt"

	"github.com/bpfct/bpfct/internal/kernellog"
	"github.com/bpfct/bpfct/internal/verdict"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/live"
	"github.com/bpfct/bpfct/verifier"
)

// Refusal is a program that one side does not load, or both.
type Refusal struct {
	Program string `json:"program"`
	// Bpfct and Kernel are "accepted", or the errno and the decisive line of the
	// verifier.
	Bpfct  string `json:"bpfct"`
	Kernel string `json:"kernel"`
}

// Agreed reports whether both refuse the program, in the same words.
func (r *Refusal) Agreed() bool { return r.Bpfct == r.Kernel }

// Refusals asks both verifiers about the plan's programs and lists those that are
// refused by one of them. The error is a *live.MissingError where the kernel cannot
// be asked.
func (p *Plan) Refusals(profile *kernel.Profile, cpus int) ([]Refusal, error) {
	names, err := p.programs()
	if err != nil {
		return nil, err
	}
	if err := live.Available(); err != nil {
		return nil, err
	}
	host, err := live.NewHost(live.Options{})
	if err != nil {
		return nil, err
	}
	defer host.Close()
	kernels, err := verdict.Kernel(host.Netns, p.Spec, names)
	if err != nil {
		return nil, err
	}
	var out []Refusal
	for _, name := range names {
		own := verdict.Own(p.Spec, profile, name, verifier.Options{CPUs: cpus})
		if own.Kind == verdict.Accepted && kernels[name].Kind == verdict.Accepted {
			continue
		}
		out = append(out, Refusal{Program: name, Bpfct: words(own), Kernel: words(kernels[name])})
	}
	return out, nil
}

// words is a verdict in a form that two sides can share: addresses and ids of loaded
// objects are not their own.
func words(v verdict.Verdict) string {
	if v.Kind == verdict.Accepted {
		return string(v.Kind)
	}
	line := kernellog.Normalize(v.Line)
	if v.Errno == "" {
		return fmt.Sprintf("%s: %s", v.Kind, line)
	}
	return fmt.Sprintf("%s: %s", v.Errno, line)
}

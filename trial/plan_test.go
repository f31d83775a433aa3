package trial_test

import (
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/trial"
)

// What a plan does not run is not forgotten in silence.
func TestLeftOut(t *testing.T) {
	spec := &ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{
		"filter":  {Type: ebpf.SchedCLS, SectionName: "tc"},
		"action":  {Type: ebpf.SchedACT, SectionName: "action"},
		"entry":   {Type: ebpf.XDP, SectionName: "xdp.frags"},
		"forward": {Type: ebpf.XDP, SectionName: "xdp/devmap", AttachType: ebpf.AttachXDPDevMap},
		"cpu":     {Type: ebpf.XDP, SectionName: "xdp/cpumap", AttachType: ebpf.AttachXDPCPUMap},
		"trace":   {Type: ebpf.Kprobe, SectionName: "kprobe/tcp_connect"},
	}}
	got := (&trial.Plan{Spec: spec}).LeftOut()
	want := []string{`cpu (section "xdp/cpumap")`, `forward (section "xdp/devmap")`, `trace (section "kprobe/tcp_connect")`}
	if !slices.Equal(got, want) {
		t.Errorf("left out are %q, want %q", got, want)
	}
	if got := (&trial.Plan{Spec: spec, Programs: []string{"filter"}}).LeftOut(); got != nil {
		t.Errorf("of programs by name %q are left out", got)
	}
}

func TestNetnsGivenTwice(t *testing.T) {
	plan := &trial.Plan{Netns: []int32{3, 4, 3}}
	if h, err := plan.NewHost(bpfct.HostOptions{}); err == nil || err.Error() != "netns id 3 is given twice" {
		t.Errorf("got host %v and error %v", h, err)
	}
}

package contract

import (
	"bytes"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/contract/internal/ops"
	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/trial"
)

// lines is what conntrack -L -o extended shows of the program's namespace, sorted.
func (e *env) lines() []string {
	e.Helper()
	var text []byte
	switch s := e.side.(type) {
	case *ops.VM:
		var b bytes.Buffer
		if err := s.Host.Netns().Conntrack().Dump(&b, conntrack.DumpOptions{Extended: true}); err != nil {
			e.Fatal(err)
		}
		text = b.Bytes()
	case *ops.Kernel:
		if _, err := exec.LookPath("conntrack"); err != nil {
			testkernel.Skip(e.T, "there is no conntrack command")
		}
		family := "ipv4"
		if e.v6 {
			family = "ipv6"
		}
		err := s.Host.Do(func() (err error) {
			text, err = exec.Command("conntrack", "-L", "-f", family, "-o", "extended").Output()
			return err
		})
		if err != nil {
			e.Fatal(err)
		}
	}
	out := strings.Split(strings.TrimSpace(string(text)), "\n")
	slices.Sort(out)
	return out
}

func TestFacts_DumpText(t *testing.T) {
	claim(t, func(e *env) {
		e.reset()
		want := []string{}
		for i, c := range []struct {
			status conntrack.Status
			zone   uint16
			dir    uint8
			mark   uint32
			nat    bool
			line   string
		}{
			{line: "[UNREPLIED] REPLY mark=0 use=1"},
			{mark: 9, nat: true, line: "[UNREPLIED] REPLY mark=9 use=1"},
			{status: conntrack.IPSSeenReply, line: "REPLY mark=0 use=1"},
			{status: conntrack.IPSSeenReply | conntrack.IPSAssured, line: "REPLY [ASSURED] mark=0 use=1"},
			{zone: 7, line: "[UNREPLIED] REPLY mark=0 zone=7 use=1"},
			{zone: 7, dir: 1, line: "zone-orig=7 [UNREPLIED] REPLY mark=0 use=1"},
			{zone: 7, dir: 2, line: "[UNREPLIED] REPLY zone-reply=7 mark=0 use=1"},
		} {
			port := uint16(2000 + i)
			a := with(e.from(0, client, port), func(o *ops.Options) { o.ZoneID, o.ZoneDir = c.zone, c.dir })
			calls := []ops.Op{a, do(ops.SetTimeout, 60900), do(ops.SetStatus, uint32(c.status)), do(ops.SetMark, c.mark)}
			to := e.host(client).String()
			if c.nat {
				calls = append(calls, e.nat(src, outside, 0))
				to = e.host(outside).String()
			}
			calls = append(calls, do(ops.Insert, 0))
			e.ok(calls, e.more(calls...))
			family := "ipv4     2"
			if e.v6 {
				family = "ipv6     10"
			}
			reply := "src=" + e.host(server).String() + " dst=" + to + " sport=80 dport=" + strconv.Itoa(int(port))
			want = append(want, family+" tcp      6 60 NONE src="+e.host(client).String()+" dst="+e.host(server).String()+
				" sport="+strconv.Itoa(int(port))+" dport=80 "+strings.Replace(c.line, "REPLY", reply, 1))
		}
		slices.Sort(want)
		got := e.lines()
		for i := range got {
			got[i] = strings.TrimRight(regexp.MustCompile(` secctx=\S+`).ReplaceAllString(got[i], ""), " ")
		}
		if !slices.Equal(got, want) {
			e.Errorf("the dump is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// example runs the program that does what the documentation's example does.
func example(t *testing.T) {
	t.Helper()
	want := map[string]int64{
		"alloc_entry": 0, "insert_entry": 0, "succ_lookup": 0, "snat_addr": 0, "dnat_addr": 0, "delta_timeout": 10,
		"status": 442, "insert_lookup_mark": 77, "exist_lookup": -2, "einval_bpf_tuple": -22, "einval_reserved": -2,
		"einval_netns_id": -22, "einval_len_opts": -22, "eproto_l4proto": -71, "enonet_netns_id": -64, "enoent_lookup": -2,
		"eafnosupport": -97,
	}
	plan := func(t *testing.T) *trial.Plan {
		spec, err := bpfct.LoadCollectionSpec("testdata/example.o")
		if err != nil {
			t.Fatal(err)
		}
		return &trial.Plan{Spec: spec}
	}
	check := func(t *testing.T, r *trial.Report, err error, want map[string]int64) {
		if err != nil {
			t.Fatal(err)
		}
		for name, n := range want {
			v, ok := r.Programs[0].Variables.Get(name)
			if !ok {
				t.Errorf("no variable %s", name)
				continue
			}
			if got := trial.Text(v.Value()); got != trial.Text(n) {
				t.Errorf("%s = %s, want %d", name, got, n)
			}
		}
	}
	var vm, kernel *trial.Report
	for _, profile := range []string{"6.18", "documented"} {
		t.Run(profile, func(t *testing.T) {
			p := plan(t)
			host, err := p.NewHost(bpfct.HostOptions{Profile: profile})
			if err != nil {
				t.Fatal(err)
			}
			r, err := p.Run(host)
			if profile == "documented" {
				want["einval_reserved"] = -22
				defer func() { want["einval_reserved"] = -2 }()
			} else {
				vm = r
			}
			check(t, r, err, want)
		})
	}
	t.Run("kernel", func(t *testing.T) {
		testkernel.Require(t)
		r, err := plan(t).RunKernel()
		check(t, r, err, want)
		kernel = r
	})
	if vm != nil && kernel != nil {
		for _, d := range trial.Compare(vm, kernel, trial.CompareOptions{}) {
			t.Error(d)
		}
	}
}

func TestFacts_Example(t *testing.T) { example(t) }

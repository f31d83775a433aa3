package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/packet"
	"github.com/bpfct/bpfct/replay"
	"github.com/bpfct/bpfct/trial"
)

// replayFlags are those of replay.
type replayFlags struct {
	opts          replay.Options
	object, hook  string
	sets, sysctls []string
	out           string
	asJSON, quiet bool
}

func newReplay() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Send a capture through connection tracking, and say what it makes of each packet",
		Long: `Replay reads a capture (pcap, pcapng or packets as text, also .gz and .zst) and sends
its packets through the connection tracking of one network namespace, as Linux does on
a router that forwards them: fragments are put together, the packet is tracked in
prerouting, translated as its connection says, and its connection confirmed in
postrouting. The clock follows the stamps; one that runs backwards is named, and the
clock stands still.

Shown are, for each packet, its number, the time since the first, the state (NEW,
ESTABLISHED, RELATED, INVALID, UNTRACKED), the direction and the id of its connection,
then the reason where there is one, what programs returned, and what left if it is
another packet. Behind the last come the connections that are alive, as conntrack -L
-o id, and counts.

With --object, programs see each packet before it is tracked; one that they drop or
send elsewhere is not.

There is no rule set and no routing: every packet that is tracked is forwarded, invalid
ones too, its TTL stays, and nothing is translated but what programs decide.

Exit code 0, 1 when a program was stopped, 2 when the file could not be followed to its
end: what came before that is shown.`,
		Example: `  bpfct replay trace.pcapng
  bpfct replay trace.pcap.zst --quiet --sysctl nf_conntrack_tcp_loose=0
  bpfct replay trace.pcap --explain 17
  bpfct replay trace.pcap --object nat.bpf.o --program ingress --events --out out.pcapng`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("replay wants one capture, got %d arguments; see bpfct replay --help", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.object, "object", "", "object with programs that see packets before they are tracked")
	fs.StringArrayVar(&f.opts.Programs, "program", nil, "program of the object, by the name of its C function; repeat for several in that order (default: all of the hook)")
	fs.StringVar(&f.hook, "hook", "tc", "where they are attached: tc (ingress) or xdp")
	fs.StringArrayVar(&f.sets, "set", nil, "set a global variable of the object, name=value")
	fs.BoolVar(&f.opts.SkipVerifier, "skip-verifier", false, "run programs that the kernel would refuse; the sanitizer stops them when they do wrong")
	fs.StringArrayVar(&f.sysctls, "sysctl", nil, "write a file of /proc/sys/net/netfilter first, name=value: nf_conntrack_tcp_be_liberal=1; repeat for several")
	fs.Uint16Var(&f.opts.Zone, "zone", 0, "id of the zone that packets are tracked in")
	fs.StringVar(&f.opts.Host.Profile, "profile", "", "kernel to model, see bpfct profiles (default: the newest measured one)")
	fs.Uint64Var(&f.opts.Host.Seed, "seed", 0, "start of all randomness")
	fs.BoolVar(&f.opts.Events, "events", false, "show events, as conntrack -E -o id")
	fs.IntVar(&f.opts.Explain, "explain", 0, "tell all that was looked at for the packet of this number, and show no other")
	fs.StringVar(&f.out, "out", "", "write the packets that leave to a file: .pcapng, .pcap or .txt, also .gz and .zst")
	fs.BoolVar(&f.asJSON, "json", false, "print an object of JSON a line")
	fs.BoolVar(&f.quiet, "quiet", false, "print the counts only")
	_ = cmd.RegisterFlagCompletionFunc("profile", completeProfile) // fails only without that flag
	return cmd
}

// options completes the options from the flags.
func (f *replayFlags) options() (replay.Options, error) {
	o := f.opts
	if o.Explain < 0 {
		return o, fmt.Errorf("--explain %d: packets are numbered from 1", o.Explain)
	}
	if o.Explain > 0 && f.quiet {
		return o, errors.New("--explain and --quiet: there would be nothing to show")
	}
	for _, s := range f.sysctls {
		name, value, ok := strings.Cut(s, "=")
		n, err := strconv.Atoi(strings.TrimSpace(value))
		if !ok || err != nil {
			return o, fmt.Errorf("--sysctl %q: want name=number", s)
		}
		o.Sysctls = append(o.Sysctls, replay.Sysctl{Name: strings.TrimPrefix(strings.TrimSpace(name), "net.netfilter."), Value: n})
	}
	var err error
	if o.Hook, err = replay.ParseHook(f.hook); err != nil {
		return o, fmt.Errorf("--hook: %w", err)
	}
	if f.object == "" {
		if o.Programs != nil || f.sets != nil {
			return o, errors.New("--program and --set need --object")
		}
		return o, nil
	}
	if o.Spec, err = bpfct.LoadCollectionSpec(f.object); err != nil {
		return o, err
	}
	for _, s := range f.sets {
		if err := trial.SetVariable(o.Spec, s); err != nil {
			return o, fmt.Errorf("--set: %w", err)
		}
	}
	return o, nil
}

func (f *replayFlags) run(cmd *cobra.Command, file string) (err error) {
	opts, err := f.options()
	if err != nil {
		return err
	}
	in, err := packet.Open(file, packet.ReaderOptions{ReuseBuffer: true})
	if err != nil {
		return err
	}
	defer in.Close()
	var out *packet.Writer
	if f.out != "" {
		if out, err = packet.Create(f.out, packet.OptionsFor(f.out)); err != nil {
			return err
		}
		defer func() {
			if e := out.Close(); e != nil {
				err = errors.Join(err, fmt.Errorf("%s: %w", f.out, e))
			}
		}()
	}
	show := replay.Show{Quiet: f.quiet, Only: opts.Explain}
	sink := replay.Text(cmd.OutOrStdout(), show)
	if f.asJSON {
		sink = replay.JSON(cmd.OutOrStdout(), show)
	}
	sum, err := replay.Run(in, opts, sink, out)
	var broken *packet.CaptureError
	if errors.As(err, &broken) {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err != nil {
		return err
	}
	if sum.Stopped > 0 {
		return &exitError{exitDifferent, stopped(sum.Stopped, true)}
	}
	return nil
}

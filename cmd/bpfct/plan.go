package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/packet"
	"github.com/bpfct/bpfct/trial"
)

// oneObject checks that a subcommand has its object file and nothing else.
func oneObject(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s wants one object file, got %d arguments; see %s --help", cmd.Name(), len(args), cmd.CommandPath())
	}
	return nil
}

// planFlags are the flags that run and diff share: what to run on what.
type planFlags struct {
	programs, packetFiles, texts, hexes, maps, sets []string
	netns                                           []int32
	repeat                                          uint32
	context                                         string
}

func (f *planFlags) add(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.programs, "program", nil, "program to run, by the name of its C function; repeat to run several in that order on shared maps (default: all tc and xdp programs)")
	fs.StringArrayVar(&f.packetFiles, "packets", nil, "file with packets: pcap, pcapng (also .gz, .zst) or one packet a line as text")
	fs.StringArrayVar(&f.texts, "packet", nil, `a packet as text: '10.0.0.1:1234 > 10.0.0.2:80 tcp S seq 1'`)
	fs.StringArrayVar(&f.hexes, "hex", nil, "a packet in hexadecimal, from its Ethernet header")
	fs.Uint32Var(&f.repeat, "repeat", 1, "how often to run on each packet")
	fs.StringArrayVar(&f.maps, "map", nil, `what a map holds at the start, name=FILE; FILE is JSON: [{"key":1,"value":{"port":80}}]`)
	fs.StringArrayVar(&f.sets, "set", nil, `set a global variable before the object is loaded, name=value; "hex:0a000001" and IP addresses are taken as bytes`)
	fs.Int32SliceVar(&f.netns, "netns", nil, "make another network namespace that programs know by this id")
	fs.StringVar(&f.context, "context", "", "the struct __sk_buff or xdp_md to start from, or its beginning, in hexadecimal")
}

// plan reads object and packets. With an error about a file of packets the plan is
// still good for those that could be read.
func (f *planFlags) plan(object string) (*trial.Plan, error) {
	spec, err := bpfct.LoadCollectionSpec(object)
	if err != nil {
		return nil, err
	}
	p := &trial.Plan{Spec: spec, Programs: f.programs, Repeat: f.repeat, Netns: f.netns, Maps: make(map[string][]trial.Item)}
	if f.context != "" {
		if p.Context, err = hex.DecodeString(f.context); err != nil {
			return nil, fmt.Errorf("--context: %w", err)
		}
	}
	for _, s := range f.sets {
		if err := trial.SetVariable(spec, s); err != nil {
			return nil, fmt.Errorf("--set: %w", err)
		}
	}
	for _, m := range f.maps {
		name, file, ok := strings.Cut(m, "=")
		if !ok {
			return nil, fmt.Errorf("--map %q: want name=FILE", m)
		}
		ms := spec.Maps[name]
		if ms == nil {
			return nil, fmt.Errorf("--map %q: the object has no map of that name", name)
		}
		items, err := trial.ReadMap(file, ms)
		if err != nil {
			return nil, err
		}
		p.Maps[name] = append(p.Maps[name], items...)
	}
	if err := f.parsePackets(p); err != nil {
		return nil, err
	}
	return p, f.readPackets(p)
}

// parsePackets takes the packets that stand on the command line.
func (f *planFlags) parsePackets(p *trial.Plan) error {
	for _, text := range f.texts {
		data, err := packet.ParseText(text)
		if err != nil {
			return fmt.Errorf("--packet %q: %w", text, err)
		}
		p.Packets = append(p.Packets, trial.Packet{Data: data})
	}
	for _, h := range f.hexes {
		data, err := hex.DecodeString(strings.Map(dropSpace, h))
		if err != nil {
			return fmt.Errorf("--hex %q: %w", h, err)
		}
		p.Packets = append(p.Packets, trial.Packet{Data: data})
	}
	return nil
}

// readPackets reads the files of packets.
func (f *planFlags) readPackets(p *trial.Plan) error {
	for _, file := range f.packetFiles {
		packets, err := trial.ReadPackets(file)
		p.Packets = append(p.Packets, packets...)
		if err != nil {
			return err
		}
		if len(packets) == 0 {
			return fmt.Errorf("%s has no packets", file)
		}
	}
	return nil
}

// tellLeftOut says which programs of the object are not run.
func tellLeftOut(cmd *cobra.Command, p *trial.Plan) {
	if left := p.LeftOut(); len(left) > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "bpfct: left out, no tc or xdp program that runs on packets: %s\n", strings.Join(left, ", "))
	}
}

func dropSpace(r rune) rune {
	if strings.ContainsRune(" \t\n:", r) {
		return -1
	}
	return r
}

// hostFlags say what machine bpfct models.
type hostFlags struct {
	opts   bpfct.HostOptions
	start  string
	stamps bool
}

func (f *hostFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.opts.Profile, "profile", "", "kernel to model, see bpfct profiles (default: the newest measured one)")
	fs.Uint64Var(&f.opts.Seed, "seed", 0, "start of all randomness")
	fs.IntVar(&f.opts.CPUs, "cpus", 1, "virtual CPUs")
	fs.Uint64Var(&f.opts.MaxInsns, "max-insns", 0, "instructions after which a run is stopped (default 2^30)")
	fs.StringVar(&f.start, "time", "", "where the clock starts: uptime (1h30m) or wall clock time (2025-01-31T12:00:00Z)")
	fs.BoolVar(&f.stamps, "stamps", false, "let the clock follow the packets' time stamps instead of standing still")
}

// options completes the host options from the flags.
func (f *hostFlags) options() (bpfct.HostOptions, error) {
	opts := f.opts
	if f.start == "" {
		return opts, nil
	}
	if d, err := time.ParseDuration(f.start); err == nil && d > 0 {
		opts.Clock.Uptime = d
		return opts, nil
	}
	wall, err := time.Parse(time.RFC3339, f.start)
	if err != nil {
		return opts, errors.New("--time: neither an uptime such as 1h30m nor a time such as 2025-01-31T12:00:00Z")
	}
	opts.Clock.Wall = wall
	return opts, nil
}

// applyStamps takes the stamps away unless they were asked for.
func (f *hostFlags) applyStamps(p *trial.Plan) {
	if f.stamps {
		return
	}
	for i := range p.Packets {
		p.Packets[i].Stamp = 0
	}
}

// prepare reads what to run, and makes the host for it. inputErr is about packets that
// could not be read: those before them are good.
func prepare(cmd *cobra.Command, plan *planFlags, host *hostFlags, object string) (p *trial.Plan, h *bpfct.Host, inputErr, err error) {
	p, inputErr = plan.plan(object)
	if inputErr != nil && (p == nil || len(p.Packets) == 0) {
		return nil, nil, nil, inputErr
	}
	tellLeftOut(cmd, p)
	host.applyStamps(p)
	opts, err := host.options()
	if err != nil {
		return nil, nil, nil, err
	}
	h, err = p.NewHost(opts)
	return p, h, inputErr, err
}

package natgw

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
)

//go:embed natgw.o
var object []byte

// Object is the compiled program, an ELF file.
func Object() []byte { return bytes.Clone(object) }

// The names of the gateway's programs and maps.
const (
	Egress   = "nat_egress"
	Ingress  = "nat_ingress"
	Forwards = "forwards"
	Outcomes = "outcomes"
)

// Outcome is what the gateway did with a packet: an index into the per-CPU
// array Outcomes, whose values count.
type Outcome uint32

// The outcomes, in the order of the C program's enum.
const (
	Passed      Outcome = iota // none of the gateway's business
	Translated                 // of a known connection
	Opened                     // first of a connection
	ICMPError                  // an error about a known connection
	Unsolicited                // for the pool, of no connection: dropped
	Exhausted                  // no free port: dropped
	Malformed                  // cut off, or a fragment without ports: dropped
)

// Config is what a gateway translates. A family without a Pool is left alone.
type Config struct {
	// Pool4 and Pool6 are the addresses that inside hosts are given: a prefix,
	// whose addresses are used from its first to its last.
	Pool4, Pool6 netip.Prefix
	// Inside4 and Inside6 are the networks behind the gateway.
	Inside4, Inside6 netip.Prefix
	// InsideIfindex is the interface that hairpin traffic goes back to; 0 for none.
	InsideIfindex int
	// NewTimeout, UDPTimeout, TCPTimeout and CloseTimeout are how long an entry
	// lives: before the first answer, after it, and after FIN or RST. 0 keeps the
	// program's default: 30 s, 2 minutes, 5 days, 10 s.
	NewTimeout, UDPTimeout, TCPTimeout, CloseTimeout time.Duration
}

// Load returns the program's spec, set up for cfg.
func Load(cfg Config) (*ebpf.CollectionSpec, error) {
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		return nil, fmt.Errorf("natgw: %w", err)
	}
	vars := map[string]any{"inside_ifindex": uint32(cfg.InsideIfindex)}
	for _, f := range []struct {
		suffix       string
		pool, inside netip.Prefix
		is           func(netip.Addr) bool
	}{
		{"4", cfg.Pool4, cfg.Inside4, netip.Addr.Is4},
		{"6", cfg.Pool6, cfg.Inside6, netip.Addr.Is6},
	} {
		if !f.pool.IsValid() {
			continue
		}
		if !f.inside.IsValid() {
			return nil, fmt.Errorf("natgw: pool %v without an inside network", f.pool)
		}
		if !f.is(f.pool.Addr()) || !f.is(f.inside.Addr()) {
			return nil, fmt.Errorf("natgw: pool %v and inside %v are not both of IPv%s", f.pool, f.inside, f.suffix)
		}
		// The program counts pool addresses in the last 32 bits.
		host := min(f.pool.Addr().BitLen()-f.pool.Bits(), 31)
		vars["pool"+f.suffix] = Address(f.pool.Masked().Addr())
		vars["pool"+f.suffix+"_count"] = uint32(1) << host
		vars["inside"+f.suffix] = Address(f.inside.Masked().Addr())
		vars["inside"+f.suffix+"_bits"] = uint32(f.inside.Bits())
	}
	for name, d := range map[string]time.Duration{
		"new_timeout_ms": cfg.NewTimeout, "udp_timeout_ms": cfg.UDPTimeout,
		"tcp_timeout_ms": cfg.TCPTimeout, "close_timeout_ms": cfg.CloseTimeout,
	} {
		if d != 0 {
			vars[name] = uint32(d.Milliseconds())
		}
	}
	for name, value := range vars {
		v, ok := spec.Variables[name]
		if !ok {
			return nil, fmt.Errorf("natgw: the object has no variable %s", name)
		}
		if err := v.Set(value); err != nil {
			return nil, fmt.Errorf("natgw: %s: %w", name, err)
		}
	}
	return spec, nil
}

// Address is an address as the program stores it: 16 bytes in network order,
// IPv4 in the first four.
func Address(a netip.Addr) (out [16]byte) {
	copy(out[:], a.AsSlice())
	return out
}

// ForwardKey is the key of the map Forwards: a port of the pool.
type ForwardKey struct {
	Family uint8 // 2 for IPv4, 10 for IPv6
	Proto  uint8 // 6 for TCP, 17 for UDP
	Port   [2]byte
}

// ForwardValue is its value: the inside host that the port leads to.
type ForwardValue struct {
	Addr [16]byte
	Port [2]byte
	_    [2]byte
}

// Forward makes the entry of the map Forwards that opens port of the pool to the
// given inside host.
func Forward(proto uint8, port uint16, to netip.AddrPort) (ForwardKey, ForwardValue) {
	key := ForwardKey{Family: 2, Proto: proto}
	if to.Addr().Is6() {
		key.Family = 10
	}
	binary.BigEndian.PutUint16(key.Port[:], port)
	value := ForwardValue{Addr: Address(to.Addr())}
	binary.BigEndian.PutUint16(value.Port[:], to.Port())
	return key, value
}

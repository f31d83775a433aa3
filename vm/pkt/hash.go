package pkt

import (
	"bytes"
	"encoding/binary"

	"github.com/bpfct/bpfct/vm"
)

func (s *Skb) clearHash() { s.hash, s.hashSet = 0, false }

// getHashRecalc is bpf_get_hash_recalc. The kernel keys the hash with a random
// number; here it is keyed with the machine's seed, so that runs agree.
func getHashRecalc(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	if !s.hashSet {
		s.hash, s.hashSet = flowHash(c.M.Seed, s.protocol, s.Data(), s.offset(s.network)), true
		s.sync()
	}
	return uint64(s.hash), nil
}

func setHashInvalid(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	s.clearHash()
	s.sync()
	return 0, nil
}

func setHash(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	s.hash, s.hashSet = uint32(args[1]), true
	s.sync()
	return 0, nil
}

// flowHash is a hash over the addresses, ports and protocol of a packet, the
// same for both directions and never 0.
func flowHash(seed uint64, proto uint16, data []byte, off int) uint32 {
	var key [40]byte
	binary.LittleEndian.PutUint16(key[38:], proto)
	if off >= 0 && off <= len(data) {
		flowKey(&key, proto, data[off:])
	}
	const prime = 1099511628211
	h := uint64(14695981039346656037) ^ seed*prime
	for _, b := range key {
		h = (h ^ uint64(b)) * prime
	}
	h ^= h >> 32
	return max(uint32(h), 1)
}

// flowKey fills in two addresses, two ports and the transport protocol, the
// lower end first.
func flowKey(key *[40]byte, proto uint16, ip []byte) {
	var src, dst, l4 []byte
	var p uint8
	fragment := false
	switch {
	case proto == ethPIP && len(ip) >= 20 && ip[0]>>4 == 4:
		h := int(ip[0]&15) * 4
		if h < 20 || h > len(ip) {
			return
		}
		fragment = binary.BigEndian.Uint16(ip[6:])&0x3fff != 0
		src, dst, l4, p = ip[12:16], ip[16:20], ip[h:], ip[9]
	case proto == ethPIPv6 && len(ip) >= 40 && ip[0]>>4 == 6:
		src, dst, l4, p = ip[8:24], ip[24:40], ip[40:], ip[6]
	default:
		return
	}
	var sport, dport []byte
	if hasPorts := p == 6 || p == 17 || p == 132; hasPorts && !fragment && len(l4) >= 4 {
		sport, dport = l4[:2], l4[2:4]
	}
	if c := bytes.Compare(src, dst); c > 0 || c == 0 && bytes.Compare(sport, dport) > 0 {
		src, dst, sport, dport = dst, src, dport, sport
	}
	copy(key[:16], src)
	copy(key[16:32], dst)
	copy(key[32:34], sport)
	copy(key[34:36], dport)
	key[36] = p
}

package packet

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"net/netip"
)

// The Csum functions compute with 32-bit partial sums as Linux does on a
// little-endian machine, whose words (__wsum) programs see: bytes are added as
// little-endian words, and a result is 0 only if all that was added was 0.
// The functions without that prefix take and give checksums as the number that
// stands in the header, read as big-endian.

// CsumPartial adds the bytes of b to sum. An odd last byte counts as if a zero
// byte followed.
func CsumPartial(b []byte, sum uint32) uint32 {
	acc := uint64(sum)
	var c uint64
	for len(b) >= 32 {
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(b), 0)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(b[8:]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(b[16:]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(b[24:]), c)
		acc, c = bits.Add64(acc, 0, c)
		acc += c
		b = b[32:]
	}
	for len(b) >= 8 {
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(b), 0)
		acc += c
		b = b[8:]
	}
	if len(b) >= 4 {
		acc, c = bits.Add64(acc, uint64(binary.LittleEndian.Uint32(b)), 0)
		acc += c
		b = b[4:]
	}
	if len(b) > 0 {
		var tail uint64
		for i, v := range b {
			tail |= uint64(v) << (8 * i)
		}
		acc, c = bits.Add64(acc, tail, 0)
		acc += c
	}
	lo, hi := uint32(acc), uint32(acc>>32)
	return CsumAdd(lo, hi)
}

// CsumAdd adds two partial sums.
func CsumAdd(a, b uint32) uint32 {
	s, c := bits.Add32(a, b, 0)
	return s + c
}

// CsumSub takes b away from a.
func CsumSub(a, b uint32) uint32 { return CsumAdd(a, ^b) }

// CsumFrom32To16 adds the halves of a partial sum until 16 bits are left.
func CsumFrom32To16(sum uint32) uint16 {
	sum = sum&0xffff + sum>>16
	sum = sum&0xffff + sum>>16
	return uint16(sum)
}

// CsumFold makes of a partial sum the checksum for a header: 16 bits,
// complemented, in the machine's little-endian order.
func CsumFold(sum uint32) uint16 { return ^CsumFrom32To16(sum) }

// CsumBlockAdd adds the partial sum b of a block that starts offset bytes
// behind the start of a's.
func CsumBlockAdd(a, b uint32, offset int) uint32 { return CsumAdd(a, csumShift(b, offset)) }

// CsumBlockSub takes the partial sum of such a block away.
func CsumBlockSub(a, b uint32, offset int) uint32 { return CsumSub(a, csumShift(b, offset)) }

// csumShift turns the sum of a block at an odd offset: its bytes stand in the
// other half of each word.
func csumShift(sum uint32, offset int) uint32 {
	if offset&1 != 0 {
		return bits.RotateLeft32(sum, -8)
	}
	return sum
}

// CsumDiff is the sum that turns the checksum over from into that over to, on
// top of seed. The blocks start at an even offset.
func CsumDiff(from, to []byte, seed uint32) uint32 {
	return CsumSub(CsumPartial(to, seed), CsumPartial(from, 0))
}

// CsumPseudo is the partial sum of the pseudo header of TCP, UDP and ICMPv6
// for a transport header and payload of length bytes. The addresses are of one
// family.
func CsumPseudo(src, dst netip.Addr, proto uint8, length int) uint32 {
	var b [40]byte
	if src.Is4() {
		s, d := src.As4(), dst.As4()
		copy(b[0:], s[:])
		copy(b[4:], d[:])
		b[9] = proto
		binary.BigEndian.PutUint16(b[10:], uint16(length))
		return CsumPartial(b[:12], 0)
	}
	s, d := src.As16(), dst.As16()
	copy(b[0:], s[:])
	copy(b[16:], d[:])
	binary.BigEndian.PutUint32(b[32:], uint32(length))
	b[39] = proto
	return CsumPartial(b[:], 0)
}

// Checksum is the Internet checksum (RFC 1071) over b: over a header with its
// checksum in place it is 0, over one whose checksum field is 0 it is the
// value for that field.
func Checksum(b []byte) uint16 {
	return bits.ReverseBytes16(CsumFold(CsumPartial(b, 0)))
}

// ChecksumTransport is the checksum over a transport header and payload b with
// the pseudo header of TCP, UDP and ICMPv6.
func ChecksumTransport(src, dst netip.Addr, proto uint8, b []byte) uint16 {
	return bits.ReverseBytes16(CsumFold(CsumPartial(b, CsumPseudo(src, dst, proto, len(b)))))
}

// Update16 is the checksum after one aligned 16-bit word under it changed from
// old to new (RFC 1624, equation 3). A UDP checksum of 0 means that there is
// none; the caller leaves it, and writes 0xffff where the result is 0.
func Update16(check, old, new uint16) uint16 {
	return ^CsumFrom32To16(uint32(^check) + uint32(^old) + uint32(new))
}

// Update32 is Update16 for two adjacent words.
func Update32(check uint16, old, new uint32) uint16 {
	return ^CsumFrom32To16(uint32(^check) + uint32(^uint16(old>>16)) + uint32(^uint16(old)) + new>>16 + new&0xffff)
}

// UpdateAddr is the checksum after an address under it changed. The addresses
// are of one family.
func UpdateAddr(check uint16, old, new netip.Addr) uint16 {
	if old.Is4() {
		o, n := old.As4(), new.As4()
		return Update32(check, binary.BigEndian.Uint32(o[:]), binary.BigEndian.Uint32(n[:]))
	}
	o, n := old.As16(), new.As16()
	for i := 0; i < 16; i += 4 {
		check = Update32(check, binary.BigEndian.Uint32(o[i:]), binary.BigEndian.Uint32(n[i:]))
	}
	return check
}

// ChecksumSCTP is the CRC32c of an SCTP packet, its checksum field taken as 0,
// as the number that stands in the header. b holds the whole common header.
func ChecksumSCTP(b []byte) uint32 {
	var zero [4]byte
	table := crc32.MakeTable(crc32.Castagnoli)
	c := crc32.Update(0, table, b[:8])
	c = crc32.Update(c, table, zero[:])
	c = crc32.Update(c, table, b[12:])
	return bits.ReverseBytes32(c)
}

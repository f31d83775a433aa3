package packet

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"pgregory.net/rapid"
)

// slowSum is RFC 1071 to the letter: big-endian words, carries at the end.
func slowSum(b []byte) uint16 {
	var sum uint32
	for i, c := range b {
		if i%2 == 0 {
			sum += uint32(c) << 8
		} else {
			sum += uint32(c)
		}
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

func TestChecksumIsRFC1071(t *testing.T) {
	// The example of the RFC.
	if got := Checksum([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}); got != 0x220d {
		t.Errorf("checksum of the RFC's example is %#04x, want 0x220d", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0x7f, 0x80, 0xfe, 0xff}), 0, 200).Draw(t, "bytes")
		if got, want := Checksum(b), slowSum(b); got != want {
			t.Fatalf("%#04x, want %#04x", got, want)
		}
	})
}

func TestCsumPartialIsAnySplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bytes")
		seed := rapid.Uint32().Draw(t, "seed")
		n := rapid.IntRange(0, len(b)).Draw(t, "split")
		whole := CsumPartial(b, seed)
		split := CsumBlockAdd(CsumPartial(b[:n], seed), CsumPartial(b[n:], 0), n)
		if CsumFold(whole) != CsumFold(split) {
			t.Fatalf("%#x split at %d is %#x", whole, n, split)
		}
		back := CsumBlockSub(whole, CsumPartial(b[n:], 0), n)
		if !sameSum(CsumFrom32To16(back), CsumFrom32To16(CsumPartial(b[:n], seed))) {
			t.Fatalf("the tail taken away is %#x", back)
		}
		// A sum is 0 only if all that was added is.
		if zero := allZero(b) && seed == 0; (whole == 0) != zero {
			t.Fatalf("sum of %x on %#x is %#x", b, seed, whole)
		}
		// 32-bit words added one by one give the very same sum.
		padded := append(b[:len(b):len(b)], make([]byte, -len(b)&3)...)
		step := seed
		for i := 0; i < len(padded); i += 4 {
			step = CsumAdd(step, binary.LittleEndian.Uint32(padded[i:]))
		}
		if step != whole {
			t.Fatalf("word by word %#x, at once %#x", step, whole)
		}
	})
}

// sameSum takes both zeros of ones' complement for the same.
func sameSum(a, b uint16) bool { return a == b || a%0xffff == 0 && b%0xffff == 0 }

func TestUpdatesAreRecomputations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v6 := rapid.Bool().Draw(t, "v6")
		// Something that is never zero, as headers have it, keeps the sum off
		// the one value with two forms.
		b := append([]byte{0x45}, rapid.SliceOfN(rapid.Byte(), 63, 63).Draw(t, "bytes")...)
		check := Checksum(b)
		old16, old32 := binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:])
		new16, new32 := rapid.Uint16().Draw(t, "word"), rapid.Uint32().Draw(t, "double word")
		addr := genAddr(t, v6, "address")
		oldAddr, _ := netip.AddrFromSlice(b[16 : 16+addr.BitLen()/8])
		oldHalf := append([]byte{}, b...)

		binary.BigEndian.PutUint16(b[2:], new16)
		binary.BigEndian.PutUint32(b[4:], new32)
		copy(b[16:], addr.AsSlice())
		got := UpdateAddr(Update32(Update16(check, old16, new16), old32, new32), oldAddr, addr)
		if want := Checksum(b); got != want {
			t.Fatalf("updated %#04x, computed %#04x", got, want)
		}
		diff := CsumDiff(oldHalf, b, uint32(bits.ReverseBytes16(^check)))
		if got := bits.ReverseBytes16(CsumFold(diff)); !sameSum(got, Checksum(b)) {
			t.Fatalf("by difference %#04x, computed %#04x", got, Checksum(b))
		}
	})
}

// RFC 1624, section 4: the case that RFC 1141 got wrong.
func TestUpdateOfRFC1624(t *testing.T) {
	if got := Update16(0xdd2f, 0x5555, 0x3285); got != 0x0000 {
		t.Errorf("updated checksum is %#04x, want 0x0000", got)
	}
}

func TestFixAndVerifyChecksums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := genFrame(t)
		f.IP.Len = nil
		if f.IP.UDP != nil {
			f.IP.UDP.Len = nil
		}
		b := build(t, f)
		info, err := Parse(b, LinkEthernet)
		if err != nil {
			return
		}
		if err := FixChecksums(b, LinkEthernet); err != nil {
			t.Fatal(err)
		}
		if err := VerifyL3(b, &info); err != nil {
			t.Fatalf("after FixChecksums: %v", err)
		}
		if err := VerifyL4(b, &info); err != nil {
			t.Fatalf("after FixChecksums: %v", err)
		}
		// Any one bit flipped under a checksum is found.
		c, ok := info.l4sum(b)
		if !ok || c.proto == ProtoUDPLite {
			return
		}
		at := rapid.IntRange(info.Transport, info.End-1).Draw(t, "byte")
		if c.proto == ProtoUDP && (at-info.Transport == 4 || at-info.Transport == 5) {
			return // its length says how far the sum reaches
		}
		b[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if VerifyL4(b, &info) == nil && !(c.proto == ProtoUDP && c.have^1 == 0) {
			t.Fatalf("bit flipped in byte %d of %x is not found", at, b)
		}
	})
}

func TestVerifySaysWhatIsRight(t *testing.T) {
	for _, c := range [][3]string{
		{"10.0.0.1:1 > 10.0.0.2:2 tcp S ipsum 0x1234", "ipv4 at byte 24: checksum 0x1234, right is 0x66ce", ""},
		{"10.0.0.1:1 > 10.0.0.2:2 tcp S sum 0x1234", "", "tcp at byte 50: checksum 0x1234, right is 0xa0ec"},
		{"10.0.0.1:1 > 10.0.0.2:2 udp sum 0x1234", "", "udp at byte 40: checksum 0x1234, right is 0xebd8"},
		{"10.0.0.1:1 > 10.0.0.2:2 udp sum 0", "", ""},
		{"[::1]:1 > [::2]:2 udp sum 0", "", "udp at byte 60: checksum 0 is not allowed over IPv6"},
		{"10.0.0.1 > 10.0.0.2 icmp echo request sum 0", "", "icmp at byte 36: checksum 0x0000, right is 0xf7ff"},
		{"::1 > ::2 icmp6 echo request sum 1", "", "icmp6 at byte 56: checksum 0x0001, right is 0x7fba"},
		{"10.0.0.1:1 > 10.0.0.2:2 udp sum 0x1234 frag 0+", "", ""},
		{"10.0.0.1:1 > 10.0.0.2:2 udp sum 0x1234 iplen 60", "", ""},
		// The pseudo header has the last destination, not the next.
		{"[::1]:1 > [::2]:2 routing 0 left 1 <::9> udp", "", ""},
		{"[::1]:1 > [::9]:2 routing 0 left 0 <::3> udp", "", ""},
		{"10.0.0.1 > 10.0.0.2 sctp hex:000100020000000300000000", "", "sctp at byte 42: checksum 0x00000000, right is 0x0928b319"},
	} {
		b := MustParseText(c[0])
		info, err := Parse(b, LinkEthernet)
		if err != nil {
			t.Errorf("%s: %v", c[0], err)
			continue
		}
		for i, err := range []error{VerifyL3(b, &info), VerifyL4(b, &info)} {
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != c[i+1] {
				t.Errorf("%s: layer %d: %q, want %q", c[0], i+3, got, c[i+1])
			}
		}
	}
	// All ways end at ::9, so their checksums are one.
	plain := MustParseText("[::1]:1 > [::9]:2 udp")
	for _, text := range []string{
		"[::1]:1 > [::2]:2 routing 0 left 1 <::9> udp",
		"[::1]:1 > [::9]:2 routing 0 left 0 <::3> udp",
		"[::1]:1 > [::2]:2 hbh <> routing 4 left 1 <::9,::2> dstopts <> frag 0 udp",
	} {
		b := MustParseText(text)
		if got, want := b[len(b)-2:], plain[len(plain)-2:]; string(got) != string(want) {
			t.Errorf("%s: checksum %x, want %x", text, got, want)
		}
	}
}

// A UDP checksum that computes to 0 is sent as 0xffff: 0 says that there is
// none.
func TestUDPChecksumIsNeverZero(t *testing.T) {
	b := MustParseText("10.0.0.1:1 > 10.0.0.2:2 udp len 2")
	copy(b[42:], b[40:42]) // the sum as payload makes it zero
	if err := FixChecksums(b, LinkEthernet); err != nil {
		t.Fatal(err)
	}
	if got := binary.BigEndian.Uint16(b[40:]); got != 0xffff {
		t.Errorf("checksum is %#04x, want 0xffff", got)
	}
	if got := Format(b); strings.Contains(got, "sum") {
		t.Errorf("the right checksum is printed as forced: %s", got)
	}
}

func TestChecksumSCTPAgreesWithGopacket(t *testing.T) {
	sctp := &layers.SCTP{SrcPort: 1, DstPort: 2, VerificationTag: 3}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{ComputeChecksums: true}, sctp, gopacket.Payload("chunk")); err != nil {
		t.Fatal(err)
	}
	b := buf.Bytes()
	if got, want := ChecksumSCTP(b), binary.BigEndian.Uint32(b[8:]); got != want {
		t.Errorf("CRC32c is %#08x, gopacket's %#08x", got, want)
	}
}

func BenchmarkChecksum(b *testing.B) {
	for _, n := range []int{20, 64, 1500} {
		buf := make([]byte, n)
		for i := range buf {
			buf[i] = byte(i)
		}
		b.Run(map[int]string{20: "20", 64: "64", 1500: "1500"}[n], func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				Checksum(buf)
			}
		})
	}
}

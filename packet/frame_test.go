package packet

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"pgregory.net/rapid"
)

func genAddr(t *rapid.T, v6 bool, name string) netip.Addr {
	if v6 {
		return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, name)))
	}
	return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, name)))
}

func genPayload(t *rapid.T) []byte {
	return rapid.OneOf(
		rapid.SliceOfN(rapid.Byte(), 0, 40),
		rapid.Map(rapid.StringN(0, 20, -1), func(s string) []byte { return []byte(s) }),
		rapid.Map(rapid.IntRange(0, 2000), func(n int) []byte { return make([]byte, n) }),
	).Draw(t, "payload")
}

// maybe16 is a forced value, one time in six.
func maybe16(t *rapid.T, name string) *uint16 {
	if rapid.IntRange(0, 5).Draw(t, "force "+name) > 0 {
		return nil
	}
	return new(rapid.Uint16().Draw(t, name))
}

func genOptions(t *rapid.T, name string) []byte {
	n := rapid.IntRange(0, 10).Draw(t, name+" words") * 4
	return rapid.SliceOfN(rapid.OneOf(rapid.ByteRange(0, 10), rapid.Byte()), n, n).Draw(t, name)
}

func genIP(t *rapid.T, depth int, families ...bool) *IP {
	v6 := rapid.SampledFrom(families).Draw(t, "v6")
	p := &IP{
		Src: genAddr(t, v6, "src"), Dst: genAddr(t, v6, "dst"),
		TOS: rapid.Uint8().Draw(t, "tos"), TTL: rapid.Uint8().Draw(t, "ttl"),
	}
	if rapid.IntRange(0, 5).Draw(t, "force length") == 0 {
		p.Len = new(rapid.Uint16Range(20, 65535).Draw(t, "length"))
	}
	if v6 {
		p.FlowLabel = rapid.Uint32Range(0, 0xfffff).Draw(t, "flow")
		for range rapid.IntRange(0, 2).Draw(t, "extension headers") {
			proto := rapid.SampledFrom([]uint8{ProtoHopByHop, ProtoRouting, ProtoDstOpts, ProtoFragment}).Draw(t, "extension")
			data := rapid.SliceOfN(rapid.ByteRange(0, 8), 8, 8).Draw(t, "data")
			if proto != ProtoFragment {
				data = append(data, make([]byte, 16*rapid.IntRange(0, 2).Draw(t, "more"))...)
				data[1] = byte(len(data)/8 - 1)
			}
			p.Ext = append(p.Ext, Ext{proto, data})
		}
	} else {
		p.ID = rapid.Uint16().Draw(t, "id")
		p.DF, p.MF, p.RF = rapid.Bool().Draw(t, "df"), rapid.Bool().Draw(t, "mf"), rapid.Bool().Draw(t, "rf")
		if rapid.IntRange(0, 3).Draw(t, "later fragment") == 0 {
			p.FragOffset = rapid.IntRange(0, 0x1fff).Draw(t, "fragment offset") * 8
		}
		p.Options = genOptions(t, "IP options")
		p.Sum = maybe16(t, "header checksum")
	}
	p.Payload = genPayload(t)
	kind := rapid.IntRange(0, 3).Draw(t, "transport")
	if p.laterFragment() {
		kind = 3
	}
	switch kind {
	case 0:
		p.TCP = &TCP{
			Src: rapid.Uint16().Draw(t, "sport"), Dst: rapid.Uint16().Draw(t, "dport"),
			Seq: rapid.Uint32().Draw(t, "seq"), Ack: rapid.Uint32().Draw(t, "ack"),
			Flags: rapid.Uint16Range(0, 0xfff).Draw(t, "flags"), Window: rapid.Uint16().Draw(t, "window"),
			Urgent: rapid.Uint16().Draw(t, "urgent"), Options: genOptions(t, "TCP options"), Sum: maybe16(t, "checksum"),
		}
	case 1:
		p.UDP = &UDP{
			Src: rapid.Uint16().Draw(t, "sport"), Dst: rapid.Uint16().Draw(t, "dport"),
			Len: maybe16(t, "UDP length"), Sum: maybe16(t, "checksum"),
		}
	case 2:
		p.ICMP = &ICMP{
			Type: rapid.Uint8Range(0, 14).Draw(t, "type"), Code: rapid.Uint8Range(0, 16).Draw(t, "code"),
			Rest: rapid.Uint32().Draw(t, "rest"), Sum: maybe16(t, "checksum"),
		}
		if v6 && p.ICMP.Type > 4 {
			p.ICMP.Type += 123
		}
		if isICMPError(p.proto(), p.ICMP.Type) && depth < 3 && rapid.Bool().Draw(t, "quote") {
			p.Payload = nil
			p.Quote = genIP(t, depth+1, v6)
			p.Quote.Trailer = rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "trailer")
		}
	case 3:
		p.Proto = rapid.SampledFrom([]uint8{1, 2, 4, 6, 17, 47, 50, 51, 58, 59, 132, 136, 253}).Draw(t, "proto")
	}
	if depth > 0 && rapid.Bool().Draw(t, "cut") {
		p.Cut = new(rapid.IntRange(0, 8).Draw(t, "cut at"))
	}
	return p
}

func genFrame(t *rapid.T) *Frame {
	f := &Frame{Link: LinkEthernet, Src: DefaultSrcMAC, Dst: DefaultDstMAC}
	if rapid.Bool().Draw(t, "addresses") {
		copy(f.Src[:], rapid.SliceOfN(rapid.Byte(), 6, 6).Draw(t, "src mac"))
	}
	for range rapid.IntRange(0, 2).Draw(t, "tags") {
		f.VLANs = append(f.VLANs, VLAN{
			TPID: rapid.SampledFrom([]uint16{EtherTypeVLAN, EtherTypeQinQ}).Draw(t, "tpid"),
			TCI:  rapid.Uint16().Draw(t, "tci"),
		})
	}
	f.IP = genIP(t, 0, false, true)
	f.Trailer = rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "padding")
	return f
}

// build is Build for a generated frame, which may be one that cannot be.
func build(t *rapid.T, f *Frame) []byte {
	b, err := f.Build()
	if err != nil && strings.Contains(err.Error(), "cannot cut") {
		t.SkipNow()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTextReadsBackToTheSameFrame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := genFrame(t)
		b := build(t, f)
		text := FormatOptions{}.FormatFrame(f)
		if got, err := ParseText(text); err != nil || !bytes.Equal(got, b) {
			t.Fatalf("the frame printed as %s\nreads back as %x, %v, want\n%x", text, got, err, b)
		}
		text = Format(b)
		if strings.Contains(text, "frame") {
			t.Fatalf("printed as bytes: %s", text)
		}
		got, err := ParseText(text)
		if err != nil || !bytes.Equal(got, b) {
			t.Fatalf("the bytes printed as %s\nread back as %x, %v, want\n%x", text, got, err, b)
		}
		if again := Format(got); again != text {
			t.Fatalf("printed again\n%s\nbecomes\n%s", text, again)
		}
	})
}

func TestDecodeGivesBackWhatWasBuilt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := genFrame(t)
		b := build(t, f)
		got, err := Decode(b, LinkEthernet).Build()
		if err != nil || !bytes.Equal(got, b) {
			t.Fatalf("decoded and built is %x, %v, want %x", got, err, b)
		}
		// Without forced lengths every field comes back, too.
		if p := f.IP; p.Len == nil && p.Quote == nil && (p.UDP == nil || p.UDP.Len == nil) && p.Proto == 0 {
			d := Decode(b, LinkEthernet)
			for _, s := range []**uint16{&f.IP.Sum, &d.IP.Sum} {
				*s = nil // forced to the right value by chance
			}
			for _, f := range []*Frame{f, d} {
				if f.IP.TCP != nil {
					f.IP.TCP.Sum = nil
				}
				if f.IP.UDP != nil {
					f.IP.UDP.Sum = nil
				}
				if f.IP.ICMP != nil {
					f.IP.Proto, f.IP.ICMP.Sum = f.IP.proto(), nil
				}
				f.IP.Proto = f.IP.proto()
				for i := range f.IP.Ext {
					f.IP.Ext[i].Data = append([]byte{0}, f.IP.Ext[i].Data[1:]...)
				}
			}
			if diff := cmp.Diff(f, d, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(bytes.Equal)); diff != "" &&
				!isICMPErrorPayload(f) {
				t.Fatalf("built and decoded (-want +got):\n%s", diff)
			}
		}
	})
}

// isICMPErrorPayload reports whether the payload may be read as a quote.
func isICMPErrorPayload(f *Frame) bool {
	return f.IP.ICMP != nil && isICMPError(f.IP.proto(), f.IP.ICMP.Type)
}

// checkInfo fails if an offset does not lie inside the frame or they are out
// of order.
func checkInfo(t interface{ Fatalf(string, ...any) }, frame []byte, info *Info) {
	if info.Network < 0 || info.Network > len(frame) || int(info.NumVLANs) > len(info.VLANs) {
		t.Fatalf("network header at %d, %d tags in %x", info.Network, info.NumVLANs, frame)
	}
	for _, p := range []*IPInfo{&info.IPInfo, &info.Inner} {
		if p.Version == 0 {
			continue
		}
		if p.Network+20 > p.End || p.End > len(frame) ||
			p.Transport != 0 && (p.Transport < p.Network+20 || p.Payload < p.Transport) ||
			p.Payload != 0 && (p.Payload < p.Network+20 || p.Payload > p.End) ||
			p.FragHdr != 0 && (p.FragHdr < p.Network+40 || p.FragHdr+8 > p.End) {
			t.Fatalf("offsets out of order: %+v in %x", p, frame)
		}
		if !p.Src(frame).IsValid() || !p.Dst(frame).IsValid() {
			t.Fatalf("no addresses: %+v", p)
		}
	}
	if info.Inner.Version != 0 && (info.Inner.Network < info.Payload || info.Inner.End > info.End) {
		t.Fatalf("quoted packet outside of its quote: %+v", info)
	}
}

func TestParseFindsTheFields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := genFrame(t)
		f.IP.Len, f.IP.Quote = nil, nil
		if f.IP.UDP != nil {
			f.IP.UDP.Len = nil
		}
		b := build(t, f)
		info, err := Parse(b, LinkEthernet)
		checkInfo(t, b, &info)
		if err != nil {
			// The quote of an ICMP error is random bytes here, and so is any
			// transport header that the generator has not made.
			if f.IP.TCP == nil && f.IP.UDP == nil {
				return
			}
			t.Fatal(err)
		}
		p := f.IP
		if info.Src(b) != p.Src || info.Dst(b) != p.Dst || info.Truncated || info.End != len(b)-len(f.Trailer) || int(info.NumVLANs) != len(f.VLANs) {
			t.Fatalf("Parse gives %+v of %+v", info, p)
		}
		for i, v := range f.VLANs {
			if info.VLANs[i] != v {
				t.Fatalf("tag %d is %v, want %v", i, info.VLANs[i], v)
			}
		}
		if p.TCP != nil && (info.Proto != ProtoTCP || info.SrcPort != p.TCP.Src || info.DstPort != p.TCP.Dst || info.Payload != info.End-len(p.Payload)) {
			t.Fatalf("Parse gives %+v of %+v", info, p.TCP)
		}
		if p.UDP != nil && (info.Proto != ProtoUDP || info.SrcPort != p.UDP.Src || info.DstPort != p.UDP.Dst || info.Payload != info.End-len(p.Payload)) {
			t.Fatalf("Parse gives %+v of %+v", info, p.UDP)
		}
		if !p.V6() && (info.FragOffset != p.FragOffset || info.MoreFragments != p.MF || info.FragID != uint32(p.ID)) {
			t.Fatalf("Parse gives %+v of %+v", info, p)
		}
	})
}

// gopacket decodes what Build makes to the same fields.
func TestBuildAgreesWithGopacket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := genFrame(t)
		p := f.IP
		p.Len, p.Sum, p.Ext, p.FragOffset, p.MF, p.Options = nil, nil, nil, 0, false, nil
		if p.UDP != nil {
			p.UDP.Len, p.UDP.Sum = nil, nil
		}
		if p.TCP != nil {
			p.TCP.Sum, p.TCP.Options = nil, nil
		}
		if p.TCP == nil && p.UDP == nil {
			return
		}
		b := build(t, f)
		pkt := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.Default)
		if e := pkt.ErrorLayer(); e != nil && !strings.Contains(e.Error().Error(), "Unable to decode") {
			// gopacket also decodes what ports say is inside.
			if pkt.TransportLayer() == nil {
				t.Fatalf("%x: %v", b, e.Error())
			}
		}
		if p.V6() {
			l := pkt.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
			if l.FlowLabel != p.FlowLabel || l.TrafficClass != p.TOS || l.HopLimit != p.TTL || !l.SrcIP.Equal(p.Src.AsSlice()) || !l.DstIP.Equal(p.Dst.AsSlice()) {
				t.Fatalf("gopacket reads %+v of %+v", l, p)
			}
		} else {
			l := pkt.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
			if l.Id != p.ID || l.TOS != p.TOS || l.TTL != p.TTL || !l.SrcIP.Equal(p.Src.AsSlice()) || !l.DstIP.Equal(p.Dst.AsSlice()) || (l.Flags&layers.IPv4DontFragment != 0) != p.DF {
				t.Fatalf("gopacket reads %+v of %+v", l, p)
			}
		}
		if p.TCP != nil {
			l := pkt.Layer(layers.LayerTypeTCP).(*layers.TCP)
			if l.Seq != p.TCP.Seq || l.Ack != p.TCP.Ack || l.Window != p.TCP.Window || l.SYN != (p.TCP.Flags&FlagSYN != 0) || l.NS != (p.TCP.Flags&FlagNS != 0) || !bytes.Equal(l.Payload, p.Payload) {
				t.Fatalf("gopacket reads %+v of %+v", l, p.TCP)
			}
		} else {
			l := pkt.Layer(layers.LayerTypeUDP).(*layers.UDP)
			if uint16(l.SrcPort) != p.UDP.Src || uint16(l.DstPort) != p.UDP.Dst || !bytes.Equal(l.Payload, p.Payload) {
				t.Fatalf("gopacket reads %+v of %+v", l, p.UDP)
			}
		}
		// Its checksums are ours.
		sum := gopacket.NewSerializeBuffer()
		var ls []gopacket.SerializableLayer
		for _, l := range pkt.Layers() {
			if s, ok := l.(gopacket.SerializableLayer); ok && len(ls) < 2+len(f.VLANs)+1 {
				ls = append(ls, s)
			}
		}
		setNetwork(ls)
		ls = append(ls, gopacket.Payload(p.Payload))
		if err := gopacket.SerializeLayers(sum, gopacket.SerializeOptions{ComputeChecksums: true}, ls...); err != nil {
			t.Fatal(err)
		}
		got, want := sum.Bytes(), b[:len(b)-len(f.Trailer)]
		if p.TCP != nil && p.TCP.Flags>>9 != 0 || p.RF {
			return // bits that gopacket does not write
		}
		if len(got) > len(want) {
			got = got[:len(want)] // gopacket pads short frames
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("gopacket serialises\n%x, Build makes\n%x", got, want)
		}
	})
}

func setNetwork(ls []gopacket.SerializableLayer) {
	var network gopacket.NetworkLayer
	for _, l := range ls {
		switch l := l.(type) {
		case *layers.IPv4:
			network = l
		case *layers.IPv6:
			network = l
		case *layers.TCP:
			_ = l.SetNetworkLayerForChecksum(network)
		case *layers.UDP:
			_ = l.SetNetworkLayerForChecksum(network)
		}
	}
}

func TestBuildRefusesWhatCannotBe(t *testing.T) {
	a4, a6 := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::1")
	for _, c := range []struct {
		f    Frame
		want string
	}{
		{Frame{}, "link at byte 0: NULL frames cannot be built"},
		{Frame{Link: LinkRaw, ARP: &ARP{}}, "arp at byte 0: needs an Ethernet header"},
		{Frame{Link: LinkEthernet, ARP: &ARP{SenderIP: a6, TargetIP: a4}}, "arp at byte 14: needs IPv4 addresses"},
		{Frame{Link: LinkEthernet, IP: &IP{}}, "ip at byte 14: addresses invalid IP and invalid IP are not of one family"},
		{Frame{Link: LinkRaw, IP: &IP{Src: a6, Dst: a4}}, "ip at byte 0: addresses ::1 and 10.0.0.1 are not of one family"},
		{Frame{Link: LinkRaw, IP: &IP{Src: a4, Dst: a4, Options: make([]byte, 5)}}, "ipv4 at byte 0: 5 bytes of options, want a multiple of 4 up to 40"},
		{Frame{Link: LinkRaw, IP: &IP{Src: a4, Dst: a4, FragOffset: 9}}, "ipv4 at byte 0: fragment offset 9, want a multiple of 8 up to 65528"},
		{Frame{Link: LinkRaw, IP: &IP{Src: a4, Dst: a4, Ext: []Ext{{}}}}, "ipv4 at byte 0: extension headers are for IPv6"},
		{Frame{Link: LinkRaw, IP: &IP{Src: a6, Dst: a6, Ext: []Ext{{0, []byte{1}}}}}, "ipv6 extension header at byte 40: 1 bytes, want a multiple of 8"},
		{Frame{Link: LinkRaw, IP: &IP{Src: a4, Dst: a4, TCP: &TCP{Options: make([]byte, 44)}}}, "tcp at byte 20: 44 bytes of options, want a multiple of 4 up to 40"},
		{Frame{Link: LinkRaw, IP: &IP{Src: a4, Dst: a4, ICMP: &ICMP{}, Proto: 6}}, "icmp at byte 20: protocol 6 is not ICMP"},
	} {
		b, err := c.f.Build()
		var e *Error
		if !errors.As(err, &e) || err.Error() != c.want || b != nil {
			t.Errorf("%+v gives %x, %v, want %s", c.f, b, err, c.want)
		}
	}
}

// A frame that Build refuses can still be printed.
func TestFormatFrameOfBrokenFrames(t *testing.T) {
	a6 := netip.MustParseAddr("::1")
	for _, f := range []*Frame{
		{}, {IP: &IP{}}, {ARP: &ARP{}}, {IP: &IP{Quote: &IP{}, ICMP: &ICMP{Type: 3}}},
		{IP: &IP{Src: a6, Ext: []Ext{{0, nil}, {44, []byte{1}}, {43, make([]byte, 9)}, {60, make([]byte, 5)}}}},
		{IP: &IP{TCP: &TCP{Options: make([]byte, 99)}, Options: []byte{7}}},
	} {
		if s := (FormatOptions{}).FormatFrame(f); s == "" {
			t.Errorf("%+v prints as nothing", f)
		}
	}
}

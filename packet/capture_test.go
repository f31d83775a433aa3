package packet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func write(t interface{ Fatal(...any) }, opts WriterOptions, packets []Packet) []byte {
	var b bytes.Buffer
	w, err := NewWriter(&b, opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		if err := w.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func genPackets(t *rapid.T, format CaptureFormat) []Packet {
	links := []LinkType{LinkEthernet, LinkRaw, LinkLinuxSLL2}
	if format == FormatText {
		links = links[:2]
	}
	link := rapid.SampledFrom(links)
	fixed := link.Draw(t, "link")
	var out []Packet
	for range rapid.IntRange(0, 5).Draw(t, "packets") {
		p := Packet{
			Time:     time.Unix(rapid.Int64Range(0, 1<<32-1).Draw(t, "seconds"), rapid.Int64Range(0, 999999999).Draw(t, "nanoseconds")).UTC(),
			Data:     rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "data"),
			LinkType: fixed,
		}
		p.OrigLen = len(p.Data)
		switch format {
		case FormatPcapNG:
			p.LinkType = link.Draw(t, "link")
			fallthrough
		case FormatPcap:
			p.OrigLen += rapid.IntRange(0, 3000).Draw(t, "cut off")
		}
		out = append(out, p)
	}
	return out
}

// numberInterfaces sets what a reader of pcapng finds: interfaces in the order
// in which their first packets come.
func numberInterfaces(packets []Packet) {
	seen := map[LinkType]int{}
	for i := range packets {
		n, ok := seen[packets[i].LinkType]
		if !ok {
			n = len(seen)
			seen[packets[i].LinkType] = n
		}
		packets[i].Interface = n
	}
}

func TestCapturesReadBack(t *testing.T) {
	for _, format := range []CaptureFormat{FormatPcap, FormatPcapNG, FormatText} {
		t.Run(format.String(), rapid.MakeCheck(func(t *rapid.T) {
			packets := genPackets(t, format)
			opts := WriterOptions{Format: format, Compress: Compression(rapid.IntRange(0, 2).Draw(t, "compression"))}
			b := write(t, opts, packets)
			if format == FormatPcapNG {
				numberInterfaces(packets)
			}
			if format == FormatText && len(packets) == 0 {
				return // an empty file is no capture
			}
			r, err := NewReader(bytes.NewReader(b), ReaderOptions{ReuseBuffer: rapid.Bool().Draw(t, "reuse")})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if r.Format() != format {
				t.Fatalf("read as %v", r.Format())
			}
			for i, want := range packets {
				got, err := r.Next()
				if diff := cmp.Diff(want, got, cmp.Comparer(bytes.Equal)); err != nil || diff != "" {
					t.Fatalf("packet %d: %v (-want +got):\n%s", i+1, err, diff)
				}
			}
			for range 2 {
				if p, err := r.Next(); err != io.EOF {
					t.Fatalf("behind the last packet: %v, %v", p, err)
				}
			}
		}))
	}
}

// A file cut anywhere gives the packets before the cut, then an error that
// names the next; at the end of a record it gives a clean end.
func TestCutCapturesKeepTheirPackets(t *testing.T) {
	var packets []Packet
	for i := range 4 {
		packets = append(packets, Packet{Time: time.Unix(int64(i), 0).UTC(), Data: bytes.Repeat([]byte{byte(i)}, 30+i), OrigLen: 99, LinkType: LinkEthernet})
	}
	for _, format := range []CaptureFormat{FormatPcap, FormatPcapNG} {
		b := write(t, WriterOptions{Format: format}, packets)
		clean := 0
		for n := 4; n < len(b); n++ { // less is not enough to tell the format
			got, err := ReadAll(bytes.NewReader(b[:n]), ReaderOptions{})
			for i, p := range got {
				if diff := cmp.Diff(packets[i], p); diff != "" {
					t.Fatalf("%v cut at %d: packet %d (-want +got):\n%s", format, n, i+1, diff)
				}
			}
			if err == nil {
				clean++
				continue
			}
			var e *CaptureError
			if !errors.As(err, &e) || e.Packet != len(got)+1 || e.Offset > int64(n) {
				t.Fatalf("%v cut at %d after %d packets: %v", format, n, len(got), err)
			}
		}
		// pcap: after the header and each packet but the last. pcapng: also
		// after the interface.
		if want := 4 + int(FormatPcap-format); clean != want {
			t.Errorf("%v: %d clean ends, want %d", format, clean, want)
		}
	}
}

// record is a pcap record.
func record(order binary.ByteOrder, sec, frac, n, orig uint32, data string) string {
	b := make([]byte, 16)
	for i, v := range []uint32{sec, frac, n, orig} {
		order.PutUint32(b[4*i:], v)
	}
	return string(b) + data
}

func pcapHeader(order binary.ByteOrder, magic uint32, minor uint16, link uint32) string {
	b := make([]byte, 24)
	order.PutUint32(b, magic)
	order.PutUint16(b[4:], 2)
	order.PutUint16(b[6:], minor)
	order.PutUint32(b[16:], 65535)
	order.PutUint32(b[20:], link)
	return string(b)
}

func TestPcapOfEveryKind(t *testing.T) {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		for magic, want := range map[uint32]int64{0xa1b2c3d4: 1_000_000_007_000, 0xa1b23c4d: 1_000_000_000_007} {
			in := pcapHeader(order, magic, 4, 0xf0000000|uint32(LinkLinuxSLL)) + record(order, 1000, 7, 3, 5, "abc")
			got, err := ReadAll(strings.NewReader(in), ReaderOptions{})
			if err != nil || len(got) != 1 {
				t.Fatalf("%v %#x: %v, %v", order, magic, got, err)
			}
			wanted := Packet{Time: time.Unix(0, want).UTC(), Data: []byte("abc"), OrigLen: 5, LinkType: LinkLinuxSLL}
			if diff := cmp.Diff(wanted, got[0]); diff != "" {
				t.Errorf("%v %#x (-want +got):\n%s", order, magic, diff)
			}
		}
	}
}

// ngBlock is a pcapng block in little-endian order with contents made of
// uint16, uint32, uint64 and string parts.
func ngBlock(typ uint32, parts ...any) string {
	var b bytes.Buffer
	for _, p := range parts {
		if s, ok := p.(string); ok {
			b.WriteString(s)
			continue
		}
		if err := binary.Write(&b, binary.LittleEndian, p); err != nil {
			panic(err)
		}
	}
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
	n := uint32(b.Len() + 12)
	head := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, typ), n)
	return string(binary.LittleEndian.AppendUint32(append(head, b.Bytes()...), n))
}

func ngSectionBlock() string {
	return ngBlock(ngSection, uint32(0x1a2b3c4d), uint16(1), uint16(0), ^uint64(0))
}

func TestPcapNGBlocks(t *testing.T) {
	in := ngSectionBlock() +
		ngBlock(ngInterface, uint16(LinkEthernet), uint16(0), uint32(4), uint16(2), uint16(4), "eth7", uint32(0)) +
		ngBlock(0xbad, "an unknown block") +
		ngBlock(ngInterface, uint16(LinkRaw), uint16(0), uint32(0), uint16(9), uint16(1), "\x03\x00\x00\x00") + // milliseconds
		ngBlock(ngEnhanced, uint32(1), uint32(0), uint32(1500), uint32(2), uint32(9), "ab\x00\x00", uint16(1), uint16(0xffff), "a comment longer than its block") +
		ngBlock(ngSimple, uint32(6), "abcd") +
		ngBlock(ngPacketOld, uint16(0), uint16(0xffff), uint32(0), uint32(5), uint32(1), uint32(1), "z") +
		ngBlock(10, "secrets") + ngBlock(4, "names") +
		ngSectionBlock() +
		ngBlock(ngInterface, uint16(LinkNull), uint16(0), uint32(0)) +
		ngBlock(ngEnhanced, uint32(0), uint32(0), uint32(1), uint32(0), uint32(0))
	got, err := ReadAll(strings.NewReader(in), ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Packet{
		{Time: time.Unix(1, 500e6).UTC(), Data: []byte("ab"), OrigLen: 9, LinkType: LinkRaw, Interface: 1},
		{Data: []byte("abcd"), OrigLen: 6, LinkType: LinkEthernet, InterfaceName: "eth7"},
		{Time: time.Unix(0, 5000).UTC(), Data: []byte("z"), OrigLen: 1, LinkType: LinkEthernet, InterfaceName: "eth7"},
		{Time: time.Unix(0, 1000).UTC(), Data: []byte{}, LinkType: LinkNull},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBrokenCaptures(t *testing.T) {
	le := binary.LittleEndian
	head := pcapHeader(le, 0xa1b2c3d4, 4, 1)
	good := record(le, 0, 0, 1, 1, "a")
	iface := ngBlock(ngInterface, uint16(1), uint16(0), uint32(0))
	packet := ngBlock(ngEnhanced, uint32(0), uint32(0), uint32(0), uint32(1), uint32(1), "a")
	ng := ngSectionBlock() + iface + packet // 28, 20, 36 bytes
	long := make([]byte, 8)
	le.PutUint32(long, ngEnhanced)
	le.PutUint32(long[4:], 0xfffffff0)
	for _, c := range []struct{ name, in, want string }{
		{"empty", "", "packet 1 at byte 0: the file is empty"},
		{"no capture", "\x7fELF\x01\x02", "packet 1 at byte 0: neither pcap, pcapng nor text: the file starts with 7f 45 4c 46"},
		{"pcap header", head[:10], "packet 1 at byte 0: the file header is cut off: the file ends at byte 10"},
		{"pcap version", pcapHeader(le, 0xa1b2c3d4, 3, 1), "packet 1 at byte 0: wrong file header: Unknown minor version 3"},
		{"pcap record header", head + good + "abc", "packet 2 at byte 41: the record header is cut off: the file ends at byte 44"},
		{"pcap record", head + good + record(le, 0, 0, 9, 9, "abc"), "packet 2 at byte 41: the record of 25 bytes is cut off: the file ends at byte 60"},
		{"pcap length", head + good + record(le, 0, 0, 0xffffffff, 0xffffffff, ""), "packet 2 at byte 41: captured length 4294967295 is more than 262144"},
		{"pcap lengths", head + record(le, 0, 0, 2, 1, "ab"), "packet 1 at byte 24: captured length 2 is more than the packet's length 1"},
		{"pcap wire length", head + record(le, 0, 0, 2, 1<<31, "ab"), "packet 1 at byte 24: packet length 2147483648 is too large"},
		{"pcap stamp", head + record(le, 0, 1_000_000, 1, 1, "a"), "packet 1 at byte 24: fraction 1000000 of the stamp is a second or more"},
		{"ng section", ngSectionBlock()[:9], "packet 1 at byte 0: the block is cut off: the file ends at byte 9"},
		{"ng magic", ngSectionBlock()[:8] + "abcdefgh", "packet 1 at byte 0: byte-order magic of a section header is 61 62 63 64"},
		{"ng version", ngBlock(ngSection, uint32(0x1a2b3c4d), uint16(2), uint16(0), ^uint64(0)), "packet 1 at byte 0: section is of version 2.0, want 1.0"},
		{"ng block length", ng + "\x06\x00\x00\x00\x0b\x00\x00\x00", "packet 2 at byte 84: block of type 0x6 has length 11"},
		{"ng lying length", ng + string(long), "packet 2 at byte 84: the block is cut off: the file ends at byte 92"},
		{"ng trailer", ng[:len(ng)-4] + "abcd", "packet 1 at byte 48: block of type 0x6 has length 36 in front and 1684234849 behind"},
		{"ng interface number", ngSectionBlock() + iface + ngBlock(ngEnhanced, uint32(1), uint32(0), uint32(0), uint32(1), uint32(1), "a"), "packet 1 at byte 48: packet of interface 1, the section has 1"},
		{"ng no interface", ngSectionBlock() + packet, "packet 1 at byte 28: packet of interface 0, the section has 0"},
		{"ng capture length", ng + ngBlock(ngEnhanced, uint32(0), uint32(0), uint32(0), uint32(9), uint32(9), "a"), "packet 2 at byte 84: captured length 9 does not fit into a block of 36 bytes"},
		{"ng simple length", ng + ngBlock(ngSimple, uint32(9), "a"), "packet 2 at byte 84: captured length 9 does not fit into a block of 20 bytes"},
		{"ng huge capture length", ng + ngBlock(ngEnhanced, uint32(0), uint32(0), uint32(0), uint32(1<<20), uint32(1<<20), "a"), "packet 2 at byte 84: captured length 1048576 is more than 262144"},
		{"ng short block", ng + ngBlock(ngEnhanced, uint32(0)), "packet 2 at byte 84: block of length 16 is too short for its contents"},
		{"ng option", ngSectionBlock() + ngBlock(ngInterface, uint16(1), uint16(0), uint32(0), uint16(2), uint16(5), "abcd"), "packet 1 at byte 28: option 2 of an interface is longer than its block"},
		{"ng resolution", ng + ngBlock(ngInterface, uint16(1), uint16(0), uint32(0), uint16(9), uint16(1), "\x7f\x00\x00\x00"), "packet 2 at byte 84: wrong record: Timestamp resolution 10^-127 is too high"},
		{"text", "10.0.0.1 > 10.0.0.2 gre\n\n # x\n 10.0.0.1 > 10.0.0.2 grr # y\n", "packet 2: line 4, column 22: want tcp, udp, icmp, icmp6, proto N or another protocol, not \"grr\""},
		{"text stamp", "1.5 10.0.0.1 > 10.0.0.2 gre\n+1 \n", "packet 2: line 2, column 5: want an address as 10.0.0.1, 10.0.0.1:80, 2001:db8::1 or [2001:db8::1]:80 for the source, not the end"},
		{"text late stamp", "9223372036s 10.0.0.1 > 10.0.0.2 gre\n+9s 10.0.0.1 > 10.0.0.2 gre", "packet 2: line 2, column 1: stamp +9s is too late"},
		{"text packet", "10.0.0.1 > 10.0.0.2 gre len 99999", "packet 1: line 1, column 1: ip at byte 14: length 100019 is more than 65535"},
		{"text line", "10.0.0.1 > 10.0.0.2 gre\n" + strings.Repeat("#", maxTextLine+1), "packet 2: line 2, column 1: line of more than 1114112 bytes"},
		{"gzip", "\x1f\x8b\x08", "packet 1 at byte 0: broken gzip header: unexpected EOF"},
	} {
		got, err := ReadAll(strings.NewReader(c.in), ReaderOptions{})
		var e *CaptureError
		if !errors.As(err, &e) || err.Error() != c.want {
			t.Errorf("%s: %d packets, %v\nwant %s", c.name, len(got), err, c.want)
		} else if len(got) != e.Packet-1 {
			t.Errorf("%s: %d packets before %v", c.name, len(got), err)
		}
	}
}

func TestBrokenCompression(t *testing.T) {
	var packets []Packet
	for range 500 {
		packets = append(packets, Packet{Data: rapid.SliceOfN(rapid.Byte(), 90, 90).Example(len(packets)), LinkType: LinkEthernet})
	}
	for _, c := range []Compression{Gzip, Zstd} {
		b := write(t, WriterOptions{Compress: c}, packets)
		got, err := ReadAll(bytes.NewReader(b[:len(b)-9]), ReaderOptions{})
		var e *CaptureError
		if !errors.As(err, &e) || e.Packet != len(got)+1 {
			t.Errorf("compression %d cut off: %d packets, %v", c, len(got), err)
		}
	}
	nested := write(t, WriterOptions{Compress: Gzip}, packets[:1])
	for range 3 {
		nested = recompress(t, nested)
	}
	if _, err := ReadAll(bytes.NewReader(nested), ReaderOptions{}); err == nil || !strings.Contains(err.Error(), "compressed more than twice") {
		t.Errorf("four times compressed: %v", err)
	}
}

func recompress(t *testing.T, b []byte) []byte {
	var out bytes.Buffer
	w, err := NewWriter(&out, WriterOptions{Compress: Gzip})
	if err != nil {
		t.Fatal(err)
	}
	// The buffer of a Writer takes any bytes; this is a way to a compressor.
	if _, err := w.buf.Write(b); err != nil {
		t.Fatal(err)
	}
	w.ng, w.opts.Format = nil, FormatText
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestTextFile(t *testing.T) {
	in := "\ufeff# two hosts\n" +
		"10.0.0.1:1 > 10.0.0.2:2 udp \"# no comment\" # a comment\n" +
		"\n" +
		"1.5 raw 10.0.0.1 > 10.0.0.2 gre\r\n" +
		"+0.25s\t10.0.0.1 > 10.0.0.2 gre\n" +
		"10.0.0.1 > 10.0.0.2 gre\n" +
		"2000ms 10.0.0.1 > 10.0.0.2 gre"
	base := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	got, err := ReadAll(strings.NewReader(in), ReaderOptions{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, p := range got {
		lines = append(lines, fmt.Sprintf("%v %v %s", p.Time.Sub(base), p.LinkType, FormatOptions{}.Format(p.Data, p.LinkType)))
	}
	want := []string{
		`0s EN10MB 10.0.0.1:1 > 10.0.0.2:2 udp "# no comment"`,
		`1.5s RAW raw 10.0.0.1 > 10.0.0.2 gre len 0`,
		`1.75s EN10MB 10.0.0.1 > 10.0.0.2 gre len 0`,
		`1.75s EN10MB 10.0.0.1 > 10.0.0.2 gre len 0`,
		`2s EN10MB 10.0.0.1 > 10.0.0.2 gre len 0`,
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	packets := []Packet{{Time: time.Unix(5, 6).UTC(), Data: MustParseText(canonical[0]), LinkType: LinkEthernet}}
	packets[0].OrigLen = len(packets[0].Data)
	for _, name := range []string{"a.pcap", "b.pcapng", "c.txt", "d.pcap.gz", "e.pcapng.zst", "f.pkt.gz", "g"} {
		path := filepath.Join(dir, name)
		w, err := Create(path, OptionsFor(name))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(packets[0]); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := Open(path, ReaderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Next()
		if diff := cmp.Diff(packets[0], got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
		r.Close()
		if _, err := r.Next(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: after Close: %v", name, err)
		}
	}
	if _, err := Open(filepath.Join(dir, "none"), ReaderOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestEmptyCapturesHaveAHeader(t *testing.T) {
	for _, format := range []CaptureFormat{FormatPcap, FormatPcapNG} {
		got, err := ReadAll(bytes.NewReader(write(t, WriterOptions{Format: format}, nil)), ReaderOptions{})
		if err != nil || len(got) != 0 {
			t.Errorf("%v: %v, %v", format, got, err)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	for _, c := range []struct {
		format CaptureFormat
		p      Packet
		want   string
	}{
		{FormatPcap, Packet{LinkType: LinkRaw}, "write packet 2: a pcap file of EN10MB packets cannot hold one of RAW; pcapng can"},
		{FormatPcap, Packet{LinkType: LinkEthernet, Time: time.Unix(1<<32, 0).UTC()}, "write packet 2: time 2106-02-07 06:28:16 +0000 UTC does not fit into a pcap file"},
		{FormatPcapNG, Packet{Time: time.Unix(-1, 0).UTC()}, "write packet 2: time 1969-12-31 23:59:59 +0000 UTC does not fit into a pcapng file"},
		{FormatPcapNG, Packet{Data: make([]byte, MaxFrame+1)}, "write packet 2: 262145 bytes are more than 262144"},
		{FormatPcapNG, Packet{LinkType: 1 << 16}, "write packet 2: link type 65536 does not fit into a pcapng file"},
	} {
		w, err := NewWriter(io.Discard, WriterOptions{Format: c.format})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(Packet{LinkType: LinkEthernet}); err != nil {
			t.Fatal(err)
		}
		if err := w.Write(c.p); err == nil || err.Error() != c.want {
			t.Errorf("%v: %v, want %s", c.format, err, c.want)
		}
	}
	if _, err := NewWriter(io.Discard, WriterOptions{Format: 9}); err == nil {
		t.Error("an unknown format is taken")
	}
}

// The same packets give the same bytes on every machine and at any time.
func TestCapturesAreReproducible(t *testing.T) {
	packets := []Packet{{Data: []byte("abc"), LinkType: LinkEthernet}}
	for format, want := range map[CaptureFormat]string{
		FormatPcap: "4d3cb2a1020004000000000000000000000004000100000000000000000000000300000003000000616263",
		FormatPcapNG: "0a0d0d0a2c0000004d3c2b1a01000000ffffffffffffffff0400050062706663740000000000000" + "02c000000" +
			"010000002000000001000000000000000900010009000000000000002000" + "0000" +
			"0600000024000000000000000000000000000000" + "030000000300000061626300" + "24000000",
		FormatText: fmt.Sprintf("%x", "0.000000000 frame \"abc\"\n"),
	} {
		if got := fmt.Sprintf("%x", write(t, WriterOptions{Format: format}, packets)); got != want {
			t.Errorf("%v:\n%s, want\n%s", format, got, want)
		}
	}
}

func BenchmarkReader(b *testing.B) {
	var packets []Packet
	for range 10000 {
		packets = append(packets, Packet{Data: make([]byte, 100), LinkType: LinkEthernet})
	}
	for _, format := range []CaptureFormat{FormatPcap, FormatPcapNG} {
		file := write(b, WriterOptions{Format: format}, packets)
		b.Run(format.String(), func(b *testing.B) {
			for b.Loop() {
				r, err := NewReader(bytes.NewReader(file), ReaderOptions{ReuseBuffer: true})
				if err != nil {
					b.Fatal(err)
				}
				for _, err := range r.All() {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(packets)), "ns/packet")
		})
	}
}

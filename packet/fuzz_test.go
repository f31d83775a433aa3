package packet

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"
)

// FuzzFormat: whatever the frame, Format gives text that reads back to it,
// Parse's offsets lie inside it, and Decode, Diff and the checksums do not
// panic.
func FuzzFormat(f *testing.F) {
	for _, text := range canonical {
		b, _, err := ParseTextLink(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > MaxFrame {
			return
		}
		text := Format(frame)
		got, err := ParseText(text)
		if err != nil || !bytes.Equal(got, frame) {
			t.Fatalf("%x printed as %s\nreads back as %x, %v", frame, text, got, err)
		}
		FormatOptions{Brief: true, ShowLink: true}.Format(frame, LinkEthernet)
		for _, link := range []LinkType{
			LinkNull, LinkEthernet, LinkPPP, LinkRawBSD, LinkPPPHDLC, LinkPPPoE, LinkRaw, LinkCHDLC,
			LinkLoop, LinkLinuxSLL, LinkIPv4, LinkIPv6, LinkLinuxSLL2, 999,
		} {
			info, err := Parse(frame, link)
			checkInfo(t, frame, &info)
			fixed := bytes.Clone(frame)
			if FixChecksums(fixed, link) == nil && err == nil {
				if err := errors.Join(VerifyL3(fixed, &info), VerifyL4(fixed, &info)); err != nil {
					t.Fatalf("%x fixed is %x: %v", frame, fixed, err)
				}
			}
			if d := DiffLink(frame, fixed, link); (len(d) == 0) != bytes.Equal(frame, fixed) {
				t.Fatalf("%x and %x differ in %v", frame, fixed, d)
			}
			FormatOptions{}.Format(frame, link)
		}
	})
}

// FuzzParseText: an error means no packet, and a packet reads back to itself.
func FuzzParseText(f *testing.F) {
	for _, text := range canonical {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		frame, link, err := ParseTextLink(text)
		if err != nil {
			var te *TextError
			var e *Error
			if frame != nil || !errors.As(err, &te) && !errors.As(err, &e) || te != nil && (te.Column < 1 || te.Column > len(text)+1) {
				t.Fatalf("%q gives %x, %v", text, frame, err)
			}
			return
		}
		again := FormatOptions{}.Format(frame, link)
		got, gotLink, err := ParseTextLink(again)
		if err != nil || gotLink != link || !bytes.Equal(got, frame) {
			t.Fatalf("%q printed as %s\nreads back as %x, %v, want %x", text, again, got, err, frame)
		}
		if third := (FormatOptions{}).Format(got, link); third != again {
			t.Fatalf("%s\nprints again as %s", again, third)
		}
	})
}

// FuzzReader: packets are bounded and whole, an error names the next packet
// and a place in the file and stays, and what was read can be written and read
// again.
func FuzzReader(f *testing.F) {
	packets := []Packet{
		{Time: time.Unix(1, 2).UTC(), Data: MustParseText(canonical[0]), LinkType: LinkEthernet},
		{Time: time.Unix(2, 3).UTC(), Data: MustParseText(canonical[6]), OrigLen: 500, LinkType: LinkEthernet},
	}
	for format := FormatPcapNG; format <= FormatText; format++ {
		for compress := Uncompressed; compress <= Zstd; compress++ {
			f.Add(write(f, WriterOptions{Format: format, Compress: compress}, packets))
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := NewReader(bytes.NewReader(file), ReaderOptions{})
		if err != nil {
			var e *CaptureError
			if r != nil || !errors.As(err, &e) {
				t.Fatalf("NewReader gives %v, %v", r, err)
			}
			return
		}
		defer r.Close()
		var all []Packet
		for {
			p, err := r.Next()
			if err != nil {
				var e *CaptureError
				if p.Data != nil || err != io.EOF && (!errors.As(err, &e) || e.Packet != len(all)+1) {
					t.Fatalf("after %d packets: %v, %v", len(all), p, err)
				}
				if _, again := r.Next(); again != err {
					t.Fatalf("first %v, then %v", err, again)
				}
				break
			}
			if len(p.Data) > p.OrigLen || len(p.Data) > MaxFrame {
				t.Fatalf("packet of %d bytes, %d on the wire", len(p.Data), p.OrigLen)
			}
			if all = append(all, p); len(all) == 1000 {
				break
			}
		}
		var b bytes.Buffer
		w, err := NewWriter(&b, WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range all {
			if s := p.Time.Unix(); !p.Time.IsZero() && (s < 0 || s > 1<<33) {
				all[i].Time = time.Time{} // does not fit into a file
			}
			if err := w.Write(all[i]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := ReadAll(&b, ReaderOptions{})
		if err != nil || len(got) != len(all) {
			t.Fatalf("%d packets written, %d read back, %v", len(all), len(got), err)
		}
		for i := range got {
			want := all[i]
			if want.Time.IsZero() {
				want.Time = time.Unix(0, 0).UTC()
			}
			if !got[i].Time.Equal(want.Time) || !bytes.Equal(got[i].Data, want.Data) || got[i].OrigLen != want.OrigLen || got[i].LinkType != want.LinkType || got[i].InterfaceName != want.InterfaceName {
				t.Fatalf("packet %d written %+v, read back %+v", i+1, want, got[i])
			}
		}
	})
}

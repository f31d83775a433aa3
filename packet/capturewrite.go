package packet

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Compression of a capture file.
type Compression int

// Kinds of compression.
const (
	Uncompressed Compression = iota
	Gzip
	Zstd
)

// WriterOptions say what a Writer writes. The zero value is pcapng,
// uncompressed.
type WriterOptions struct {
	Format   CaptureFormat
	Compress Compression

	// LinkType of a file without packets. Zero is Ethernet.
	LinkType LinkType

	// Text says how packets of a text file are printed.
	Text FormatOptions
}

// OptionsFor reads format and compression from the end of a file's name:
// .pcap and .cap, .txt and .pkt, .pcapng for all others; .gz and .zst.
func OptionsFor(name string) WriterOptions {
	var o WriterOptions
	name = strings.ToLower(name)
	ext := filepath.Ext(name)
	switch ext {
	case ".gz":
		o.Compress = Gzip
	case ".zst":
		o.Compress = Zstd
	}
	if o.Compress != Uncompressed {
		ext = filepath.Ext(strings.TrimSuffix(name, ext))
	}
	switch ext {
	case ".pcap", ".cap":
		o.Format = FormatPcap
	case ".txt", ".pkt":
		o.Format = FormatText
	}
	return o
}

// Writer writes a capture. Stamps have nanoseconds in all formats.
type Writer struct {
	opts    WriterOptions
	buf     *bufio.Writer
	closers []func() error
	packets int
	err     error

	pcap   *pcapgo.Writer
	link   LinkType // of a pcap file
	ng     *pcapgo.NgWriter
	ifaces map[ngKey]int
}

// ngKey is what tells the interfaces of a pcapng file apart.
type ngKey struct {
	index int
	name  string
	link  LinkType
}

// Create makes a file and writes a capture to it. Close closes it.
func Create(name string, opts WriterOptions) (*Writer, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	w, err := NewWriter(f, opts)
	if err != nil {
		f.Close()
		return nil, err
	}
	w.closers = append(w.closers, f.Close)
	return w, nil
}

// NewWriter writes a capture to out. Close ends it and does not close out.
func NewWriter(out io.Writer, opts WriterOptions) (*Writer, error) {
	w := &Writer{opts: opts}
	switch opts.Compress {
	case Uncompressed:
	case Gzip:
		z := gzip.NewWriter(out)
		w.closers = append(w.closers, z.Close)
		out = z
	case Zstd:
		z, err := zstd.NewWriter(out, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		w.closers = append(w.closers, z.Close)
		out = z
	default:
		return nil, fmt.Errorf("compression %d is not known", opts.Compress)
	}
	if opts.Format < FormatPcapNG || opts.Format > FormatText {
		return nil, fmt.Errorf("%v is not known", opts.Format)
	}
	w.buf = bufio.NewWriterSize(out, 65536)
	return w, nil
}

// Write appends a packet. A zero Time is written as the start of 1970, an
// OrigLen less than the data as the length of the data.
func (w *Writer) Write(p Packet) error {
	if w.err != nil {
		return w.err
	}
	if err := w.write(p); err != nil {
		return fmt.Errorf("write packet %d: %w", w.packets+1, err)
	}
	w.packets++
	return nil
}

func (w *Writer) write(p Packet) error {
	if p.Time.IsZero() {
		p.Time = time.Unix(0, 0)
	}
	p.OrigLen = max(p.OrigLen, len(p.Data))
	latest := int64(math.MaxUint32)
	if w.opts.Format != FormatPcap {
		latest = math.MaxInt64/int64(time.Second) - 1
	}
	switch s := p.Time.Unix(); {
	case s < 0 || s > latest:
		return fmt.Errorf("time %v does not fit into a %v file", p.Time, w.opts.Format)
	case len(p.Data) > MaxFrame:
		return fmt.Errorf("%d bytes are more than %d", len(p.Data), MaxFrame)
	case p.OrigLen > math.MaxInt32:
		return fmt.Errorf("length %d is too large", p.OrigLen)
	}
	ci := gopacket.CaptureInfo{Timestamp: p.Time, CaptureLength: len(p.Data), Length: p.OrigLen}
	switch w.opts.Format {
	case FormatText:
		_, err := fmt.Fprintf(w.buf, "%s %s\n", formatStamp(time.Duration(p.Time.UnixNano())), w.opts.Text.Format(p.Data, p.LinkType))
		return err
	case FormatPcap:
		if err := w.startPcap(p.LinkType); err != nil {
			return err
		}
		return w.pcap.WritePacket(ci, p.Data)
	}
	var err error
	if ci.InterfaceIndex, err = w.iface(ngKey{p.Interface, p.InterfaceName, p.LinkType}); err != nil {
		return err
	}
	return w.ng.WritePacket(ci, p.Data)
}

// startPcap writes the file header before the first packet.
func (w *Writer) startPcap(link LinkType) error {
	switch {
	case link > math.MaxUint16:
		return fmt.Errorf("%v does not fit into a pcap file", link)
	case w.pcap == nil:
		w.link = link
		w.pcap = pcapgo.NewWriterNanos(w.buf)
		return w.pcap.WriteFileHeader(MaxFrame, layers.LinkType(link))
	case link != w.link:
		return fmt.Errorf("a pcap file of %v packets cannot hold one of %v; pcapng can", w.link, link)
	}
	return nil
}

// iface gives the number of an interface in the file, which is new if no
// packet of it was written before.
func (w *Writer) iface(k ngKey) (n int, err error) {
	if n, ok := w.ifaces[k]; ok {
		return n, nil
	}
	if k.link > math.MaxUint16 {
		return 0, fmt.Errorf("%v does not fit into a pcapng file", k.link)
	}
	i := pcapgo.NgInterface{Name: k.name, LinkType: layers.LinkType(k.link), TimestampResolution: 9}
	if w.ng == nil {
		// Nothing of the machine that writes the file goes into it.
		opts := pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: "bpfct"}}
		w.ifaces = map[ngKey]int{}
		w.ng, err = pcapgo.NewNgWriterInterface(w.buf, i, opts)
	} else {
		n, err = w.ng.AddInterface(i)
	}
	if err == nil {
		w.ifaces[k] = n
	}
	return n, err
}

// Close writes what is left. A file without packets gets its header.
func (w *Writer) Close() error {
	if w.err != nil {
		return nil
	}
	w.err = os.ErrClosed
	link := w.opts.LinkType
	if link == 0 {
		link = LinkEthernet
	}
	var err error
	switch {
	case w.opts.Format == FormatPcap && w.pcap == nil:
		err = w.startPcap(link)
	case w.opts.Format == FormatPcapNG && w.ng == nil:
		_, err = w.iface(ngKey{link: link})
	}
	if w.ng != nil && err == nil {
		err = w.ng.Flush()
	}
	if e := w.buf.Flush(); err == nil {
		err = e
	}
	for _, c := range w.closers {
		if e := c(); err == nil {
			err = e
		}
	}
	return err
}

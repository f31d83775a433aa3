package packet_test

import (
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/bpfct/bpfct/packet"
)

func ExampleParseText() {
	frame, err := packet.ParseText(`10.0.0.1:1234 > 10.0.0.2:80 tcp S seq 1 <mss 1460>`)
	if err != nil {
		log.Fatal(err)
	}
	info, err := packet.Parse(frame, packet.LinkEthernet)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(frame), info.Src(frame), info.DstPort, info.Transport)
	fmt.Println(packet.Format(frame))

	_, err = packet.ParseText(`10.0.0.1:1234 > 10.0.0.2 tcp S`)
	fmt.Println(err)
	// Output:
	// 58 10.0.0.1 80 34
	// 10.0.0.1:1234 > 10.0.0.2:80 tcp S seq 1 win 64240 <mss 1460> len 0
	// column 17: tcp needs a port: 10.0.0.2:80
}

func ExampleDiff() {
	a := packet.MustParseText(`10.0.0.1:1234 > 10.0.0.2:53 udp "query"`)
	b := packet.MustParseText(`5.5.5.5:5555 > 10.0.0.2:53 udp "query"`)
	for _, d := range packet.Diff(a, b) {
		fmt.Println(d)
	}
	// Output:
	// ipv4.checksum 0x66ca != 0x66c1
	// ipv4.src 10.0.0.1 != 5.5.5.5
	// udp.sport 1234 != 5555
	// udp.checksum 0x96e2 != 0x85f8
}

func ExampleReader() {
	file := `
# A name is asked for twice.
10.0.0.1:4000 > 10.0.0.2:53 udp "query"
+2.5s 10.0.0.1:4000 > 10.0.0.2:53 udp "query"
`
	r, err := packet.NewReader(strings.NewReader(file), packet.ReaderOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	for {
		p, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(p.Time.Format("05.000"), packet.Format(p.Data))
	}
	// Output:
	// 00.000 10.0.0.1:4000 > 10.0.0.2:53 udp "query"
	// 02.500 10.0.0.1:4000 > 10.0.0.2:53 udp "query"
}

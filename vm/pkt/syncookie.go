package pkt

import (
	"encoding/binary"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
)

// Numbers of SYN cookies, as Linux makes them: eight bits of time above 24 bits
// in which the index of an MSS is hidden.
const (
	cookieBits    = 24
	cookieMask    = 1<<cookieBits - 1
	cookiePeriod  = 60 // seconds
	cookieMaxAge  = 2  // periods
	tcpHeaderLen  = 20
	tcpMSSDefault = 536
	mssClamp6     = 1280 - 20 - 40
	tcpFIN        = 1 << 0
	tcpSYN        = 1 << 1
	tcpRST        = 1 << 2
	tcpACK        = 1 << 4
)

// mssTable has the values that a cookie can tell apart.
func mssTable(is6 bool) []uint16 {
	if is6 {
		return []uint16{1280 - 60, 1480 - 60, 1500 - 60, 9000 - 60}
	}
	return []uint16{536, 1300, 1440, 1460}
}

// cookieKey is what a cookie is bound to.
type cookieKey struct {
	src, dst []byte
	ports    []byte // source and destination, as in the header
	is6      bool
}

// cookieOf takes the addresses from an IP header.
func cookieOf(ip, th []byte, is6 bool) cookieKey {
	k := cookieKey{src: ip[12:16], dst: ip[16:20], ports: th[:4], is6: is6}
	if is6 {
		k.src, k.dst = ip[8:24], ip[24:40]
	}
	return k
}

// hash stands for the kernel's keyed hash, whose key is random there and comes
// from the machine's seed here.
func (k cookieKey) hash(seed uint64, count, c uint32) uint32 {
	const prime = 1099511628211
	h := uint64(14695981039346656037) ^ (seed+uint64(c))*prime
	mix := func(b []byte) {
		for _, v := range b {
			h = (h ^ uint64(v)) * prime
		}
	}
	mix(k.src)
	mix(k.dst)
	mix(k.ports)
	mix(binary.LittleEndian.AppendUint32(nil, count))
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	return uint32(h >> 32)
}

func cookieTime(c *vm.CPU) uint32 {
	return uint32(c.M.Clock.Jiffies() / uint64(cookiePeriod*c.M.Clock.HZ()))
}

// make is the cookie for a SYN of that sequence number, and the MSS that it
// stands for.
func (k cookieKey) make(c *vm.CPU, seq uint32, mss uint16) (cookie uint32, rounded uint16) {
	table := mssTable(k.is6)
	i := len(table) - 1
	for i > 0 && mss < table[i] {
		i--
	}
	count := cookieTime(c)
	return k.hash(c.M.Seed, 0, 0) + seq + count<<cookieBits +
		(k.hash(c.M.Seed, count, 1)+uint32(i))&cookieMask, table[i]
}

// check reports whether cookie is one that was made for a SYN of that sequence
// number not long ago.
func (k cookieKey) check(c *vm.CPU, cookie, seq uint32) bool {
	cookie -= k.hash(c.M.Seed, 0, 0) + seq
	count := cookieTime(c)
	age := (count - cookie>>cookieBits) & (1<<(32-cookieBits) - 1)
	if age >= cookieMaxAge {
		return false
	}
	i := (cookie - k.hash(c.M.Seed, count-age, 1)) & cookieMask
	return i < uint32(len(mssTable(k.is6)))
}

// checkAck is check for an ACK that answers the cookie.
func (k cookieKey) checkAck(c *vm.CPU, th []byte) bool {
	return k.check(c, binary.BigEndian.Uint32(th[8:])-1, binary.BigEndian.Uint32(th[4:])-1)
}

// mssOption is the MSS that a SYN tells, 0 for none.
func mssOption(th []byte) uint16 {
	for opts := th[tcpHeaderLen:]; len(opts) > 0; {
		switch opts[0] {
		case 0:
			return 0
		case 1:
			opts = opts[1:]
			continue
		}
		if len(opts) < 2 || opts[1] < 2 || int(opts[1]) > len(opts) {
			return 0
		}
		if opts[0] == 2 && opts[1] == 4 {
			return binary.BigEndian.Uint16(opts[2:])
		}
		opts = opts[opts[1]:]
	}
	return 0
}

// rawGenSyncookie makes bpf_tcp_raw_gen_syncookie_ipv4 and _ipv6.
func rawGenSyncookie(is6 bool) vm.Func {
	ipLen, fallback := uint32(20), uint16(tcpMSSDefault)
	if is6 {
		ipLen, fallback = 40, mssClamp6
	}
	return func(c *vm.CPU, args *[5]uint64) (uint64, error) {
		ip, err := c.Read("R1", args[0], ipLen)
		if err != nil {
			return 0, err
		}
		n := uint32(args[2])
		th, err := c.Read("R2", args[1], n)
		if err != nil {
			return 0, err
		}
		if n < tcpHeaderLen || n != uint32(th[12]>>4)*4 {
			return errno.EINVAL.Neg(), nil
		}
		mss := mssOption(th)
		if mss == 0 {
			mss = fallback
		}
		cookie, mss := cookieOf(ip, th, is6).make(c, binary.BigEndian.Uint32(th[4:]), mss)
		return uint64(cookie) | uint64(mss)<<32, nil
	}
}

// rawCheckSyncookie makes bpf_tcp_raw_check_syncookie_ipv4 and _ipv6.
func rawCheckSyncookie(is6 bool) vm.Func {
	ipLen := uint32(20)
	if is6 {
		ipLen = 40
	}
	return func(c *vm.CPU, args *[5]uint64) (uint64, error) {
		ip, err := c.Read("R1", args[0], ipLen)
		if err != nil {
			return 0, err
		}
		th, err := c.Read("R2", args[1], tcpHeaderLen)
		if err != nil {
			return 0, err
		}
		if !cookieOf(ip, th, is6).checkAck(c, th) {
			return errno.EACCES.Neg(), nil
		}
		return 0, nil
	}
}

// syncookieArgs reads the arguments that bpf_tcp_check_syncookie and
// bpf_tcp_gen_syncookie share.
func syncookieArgs(c *vm.CPU, args *[5]uint64) (sk *netns.Socket, ip, th []byte, err error) {
	r, err := sockArg(c, "R1", args[0])
	if err != nil {
		return nil, nil, nil, err
	}
	if ip, err = c.Read("R2", args[1], uint32(args[2])); err != nil {
		return nil, nil, nil, err
	}
	th, err = c.Read("R4", args[3], uint32(args[4]))
	return r.sock, ip, th, err
}

func isListener(sk *netns.Socket) bool {
	return sk.State == netns.StateListen && sk.Protocol == netns.ProtoTCP
}

// cookieFamily checks the IP header against the socket: the kernel's error, or
// whether it is IPv6.
func cookieFamily(sk *netns.Socket, ip []byte) (is6 bool, e errno.Errno) {
	switch ip[0] >> 4 {
	case 4:
		if sk.Family == netns.FamilyINET6 && sk.V6Only {
			return false, errno.EINVAL
		}
		return false, 0
	case 6:
		if len(ip) < 40 || sk.Family != netns.FamilyINET6 {
			return false, errno.EINVAL
		}
		return true, 0
	}
	return false, errno.EPROTONOSUPPORT
}

func checkSyncookie(c *vm.CPU, args *[5]uint64) (uint64, error) {
	sk, ip, th, err := syncookieArgs(c, args)
	if err != nil {
		return 0, err
	}
	if len(th) < tcpHeaderLen || !isListener(sk) || sk.Netns.Sysctl().Syncookies == 0 {
		return errno.EINVAL.Neg(), nil
	}
	if f := th[13]; f&tcpACK == 0 || f&(tcpRST|tcpSYN) != 0 {
		return errno.ENOENT.Neg(), nil
	}
	if len(ip) < 20 {
		return errno.EINVAL.Neg(), nil
	}
	if !sk.SynOverflowed(c.M.Clock) {
		return errno.ENOENT.Neg(), nil
	}
	is6, e := cookieFamily(sk, ip)
	if e != 0 {
		return e.Neg(), nil
	}
	if !cookieOf(ip, th, is6).checkAck(c, th) {
		return errno.ENOENT.Neg(), nil
	}
	return 0, nil
}

func genSyncookie(c *vm.CPU, args *[5]uint64) (uint64, error) {
	const always = 2 // tcp_syncookies
	sk, ip, th, err := syncookieArgs(c, args)
	if err != nil {
		return 0, err
	}
	if len(th) < tcpHeaderLen || len(th) != int(th[12]>>4)*4 || !isListener(sk) {
		return errno.EINVAL.Neg(), nil
	}
	mode := sk.Netns.Sysctl().Syncookies
	if mode == 0 {
		return errno.ENOENT.Neg(), nil
	}
	if th[13]&(tcpSYN|tcpACK|tcpFIN|tcpRST) != tcpSYN || len(ip) < 20 {
		return errno.EINVAL.Neg(), nil
	}
	is6, e := cookieFamily(sk, ip)
	if e != 0 {
		return e.Neg(), nil
	}
	// Unless told to, the kernel makes cookies only when the queue of requests
	// overflows, which it never does here.
	if mode != always {
		return errno.ENOENT.Neg(), nil
	}
	mss := mssOption(th)
	if mss == 0 {
		mss = tcpMSSDefault
		if is6 {
			mss = mssClamp6
		}
	}
	cookie, mss := cookieOf(ip, th, is6).make(c, binary.BigEndian.Uint32(th[4:]), mss)
	sk.NoteSynOverflow(c.M.Clock)
	return uint64(cookie) | uint64(mss)<<32, nil
}

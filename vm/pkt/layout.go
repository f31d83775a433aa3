package pkt

// Offsets of struct __sk_buff as programs see it.
const (
	offLen            = 0
	offPktType        = 4
	offMark           = 8
	offQueueMapping   = 12
	offProtocol       = 16
	offVLANPresent    = 20
	offVLANTCI        = 24
	offVLANProto      = 28
	offPriority       = 32
	offIngressIfindex = 36
	offIfindex        = 40
	offTCIndex        = 44
	offCB             = 48
	offHash           = 68
	offTCClassid      = 72
	offData           = 76
	offDataEnd        = 80
	offNapiID         = 84
	offFamily         = 88
	offRemoteIP4      = 92
	offLocalIP4       = 96
	offRemoteIP6      = 100
	offLocalIP6       = 116
	offRemotePort     = 132
	offLocalPort      = 136
	offDataMeta       = 140
	offFlowKeys       = 144
	offTstamp         = 152
	offWireLen        = 160
	offGSOSegs        = 164
	offSK             = 168
	offGSOSize        = 176
	offTstampType     = 180
	offHwtstamp       = 184

	// SkbCtxSize is the size of struct __sk_buff.
	SkbCtxSize = 192
)

// Offsets of struct xdp_md.
const (
	mdData           = 0
	mdDataEnd        = 4
	mdDataMeta       = 8
	mdIngressIfindex = 12
	mdRxQueueIndex   = 16
	mdEgressIfindex  = 20

	// XDPCtxSize is the size of struct xdp_md.
	XDPCtxSize = 24
)

// Sizes that the kernel lays buffers out by (x86-64 and arm64, pages of 4 KiB).
const (
	ethHLen      = 14
	vlanHLen     = 4
	pageSize     = 4096
	sharedInfo   = 320 // struct skb_shared_info, at the end of a buffer
	netSkbPad    = 64  // head room of a received packet
	skbMaxLen    = 4*pageSize - sharedInfo
	xdpHeadroom  = 256
	xdpFrameSize = 40 // struct xdp_frame, at the start of the head room
	xdpMaxMeta   = 255
	maxFrags     = 17
	kmallocMax   = 4 << 20 // the largest piece of memory that the kernel hands out
	gsoMaxSegs   = 65535
	gsoLegacyMax = 65536
)

// Ethernet types, as numbers.
const (
	ethPIP     = 0x0800
	ethPIPv6   = 0x86dd
	eth8021Q   = 0x8100
	eth8021AD  = 0x88a8
	ethP8023   = 0x0001
	ethP8022   = 0x0004
	eth8023Min = 0x0600
)

// What tc and XDP programs return; helpers that redirect return these.
const (
	tcActShot     = 2
	tcActRedirect = 7
	xdpAborted    = 0
	xdpRedirect   = 4
)

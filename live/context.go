package live

// Sizes of the contexts of tc and XDP programs.
const (
	SkBuffSize = 192
	XDPMDSize  = 24
)

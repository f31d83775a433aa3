package live

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// attrProgLoad is the layout for BPF_PROG_LOAD.
type attrProgLoad struct {
	progType           uint32
	insnCnt            uint32
	insns, license     uint64
	logLevel, logSize  uint32
	logBuf             uint64
	kernVersion        uint32
	progFlags          uint32
	name               [16]byte
	ifindex            uint32
	expectedAttachType uint32
	progBTFFD          uint32
	funcInfoRecSize    uint32
	funcInfo           uint64
	funcInfoCnt        uint32
	lineInfoRecSize    uint32
	lineInfo           uint64
	lineInfoCnt        uint32
	attachBTFID        uint32
	attachProgFD       uint32
	coreReloCnt        uint32
	fdArray            uint64
	coreRelos          uint64
	coreReloRecSize    uint32
	logTrueSize        uint32
}

const (
	minLogSize = 64 << 10
	maxLogSize = 1<<30 - 1
)

// loadProgram loads p, whose maps are associated. It returns the verifier's
// log where one was asked for or the program was refused.
func (s *sharedBTF) loadProgram(p *ebpf.ProgramSpec, opts *CollectionOptions) (*ebpf.Program, string, error) {
	prepared := s.programs[p]
	if prepared == nil {
		return nil, "", errors.New("the program is not part of the collection's types")
	}
	if prepared.err != nil {
		return nil, "", prepared.err
	}
	order := nativeOrder()
	if p.ByteOrder != nil && p.ByteOrder != order {
		return nil, "", fmt.Errorf("a %s program does not run on this %s machine", p.ByteOrder, order)
	}
	var code bytes.Buffer
	if err := p.Instructions.Marshal(&code, order); err != nil {
		return nil, "", err
	}
	var pin pinned
	defer pin.release()
	attr := attrProgLoad{
		progType:           uint32(p.Type),
		insnCnt:            uint32(code.Len() / asm.InstructionSize),
		insns:              pin.addr(code.Bytes()),
		license:            pin.addr(append([]byte(p.License), 0)),
		logLevel:           uint32(opts.LogLevel),
		progFlags:          p.Flags,
		name:               objName(p.Name),
		ifindex:            p.Ifindex,
		expectedAttachType: uint32(p.AttachType),
		progBTFFD:          uint32(s.handle.FD()),
		funcInfoRecSize:    uint32(btf.FuncInfoSize),
		funcInfo:           pin.addr(prepared.funcInfo),
		funcInfoCnt:        uint32(len(prepared.funcInfo)) / uint32(btf.FuncInfoSize),
		lineInfoRecSize:    uint32(btf.LineInfoSize),
		lineInfo:           pin.addr(prepared.lineInfo),
		lineInfoCnt:        uint32(len(prepared.lineInfo)) / uint32(btf.LineInfoSize),
	}
	if len(prepared.fdArray) > 0 {
		fds := make([]byte, 4*len(prepared.fdArray))
		for i, fd := range prepared.fdArray {
			binary.NativeEndian.PutUint32(fds[4*i:], uint32(fd))
		}
		attr.fdArray = pin.addr(fds)
	}
	size := min(max(opts.LogSize, minLogSize), maxLogSize)
	for {
		var log []byte
		attr.logSize, attr.logBuf = 0, 0
		if attr.logLevel != 0 {
			log = make([]byte, size)
			attr.logSize, attr.logBuf = size, pin.addr(log)
		}
		fd, err := bpfCall(cmdProgLoad, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
		text := logText(log)
		switch {
		case err == nil:
			prog, err := ebpf.NewProgramFromFD(fd)
			return prog, text, err
		case attr.logLevel == 0:
			attr.logLevel = uint32(ebpf.LogLevelBranch)
		case errors.Is(err, unix.ENOSPC) && size < maxLogSize:
			size = min(max(2*size, attr.logTrueSize), maxLogSize)
		default:
			ve := &ebpf.VerifierError{Cause: err}
			if text != "" {
				ve.Log = strings.Split(text, "\n")
			}
			return nil, text, fmt.Errorf("load program%w", ve)
		}
	}
}

// nativeOrder is the machine's byte order as one of the two that package asm knows.
func nativeOrder() binary.ByteOrder {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return binary.LittleEndian
	}
	return binary.BigEndian
}

// logText is the log up to its terminating zero.
func logText(log []byte) string {
	if i := bytes.IndexByte(log, 0); i >= 0 {
		log = log[:i]
	}
	return strings.TrimSpace(string(log))
}

package maps

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// The answers of types that lack an operation.

func (b *base) ValueAddr(uint32) (uint64, error) { return 0, b.err("direct access", errno.ENOTSUPP) }

func (b *base) lookup(from, []byte) (uint64, error)            { return 0, errno.ENOTSUPP }
func (b *base) lookupCPU(from, []byte, uint32) (uint64, error) { return 0, nil }
func (b *base) update(from, []byte, []byte, uint64) error      { return errno.ENOTSUPP }
func (b *base) remove(from, []byte) error                      { return errno.ENOTSUPP }
func (b *base) push([]byte, uint64) error                      { return errno.ENOTSUPP }
func (b *base) pop([]byte) error                               { return errno.ENOTSUPP }
func (b *base) peek([]byte) error                              { return errno.ENOTSUPP }
func (b *base) userLookup([]byte, uint64) ([]byte, error)      { return nil, errno.ENOTSUPP }
func (b *base) userUpdate([]byte, []byte, uint64) error        { return errno.ENOTSUPP }
func (b *base) userUpdateRef([]byte, any, uint64) error        { return errno.EBADF }
func (b *base) userRemove([]byte) error                        { return errno.ENOTSUPP }
func (b *base) nextKey([]byte) ([]byte, error)                 { return nil, errno.ENOTSUPP }
func (b *base) take([]byte, uint64) ([]byte, error)            { return nil, errno.ENOTSUPP }
func (b *base) releaseUser()                                   {}
func (b *base) free()                                          {}

func (b *base) forEach(*vm.CPU, uint64, uint64) (uint64, error) {
	return 0, errno.EINVAL
}

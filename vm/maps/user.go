package maps

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
)

// err dresses what an operation of the user's side returned.
func (b *base) err(op string, err error) error {
	if err == nil {
		return nil
	}
	var e errno.Errno
	if errors.As(err, &e) {
		return &Error{Map: b.info.Name, Op: op, Errno: e}
	}
	return fmt.Errorf("map %s: %s: %w", b.info.Name, op, err)
}

// mayRead and mayWrite are the permissions of the user's side.
func (b *base) mayRead() bool  { return b.info.Flags&WriteOnly == 0 }
func (b *base) mayWrite() bool { return b.info.Flags&ReadOnly == 0 && !b.frozen.Load() }

func (b *base) checkKey(key []byte) error {
	if len(key) != int(b.info.KeySize) {
		return fmt.Errorf("key of %d bytes, the map's have %d: %w", len(key), b.info.KeySize, errno.EINVAL)
	}
	return nil
}

func (b *base) Lookup(key []byte, flags uint64) ([]byte, error) {
	v, err := b.doLookup(key, flags)
	return v, b.err("lookup", err)
}

func (b *base) doLookup(key []byte, flags uint64) ([]byte, error) {
	if flags&^Lock != 0 {
		return nil, errno.EINVAL
	}
	if !b.mayRead() {
		return nil, errno.EPERM
	}
	if flags&Lock != 0 && b.lock == nil {
		return nil, errno.EINVAL
	}
	if err := b.checkKey(key); err != nil {
		return nil, err
	}
	return b.self.userLookup(key, flags)
}

func (b *base) Query(value []byte) error {
	if b.info.Type != ebpf.BloomFilter {
		return b.err("query", errno.ENOTSUPP)
	}
	if !b.mayRead() {
		return b.err("query", errno.EPERM)
	}
	if err := b.checkValue(value); err != nil {
		return b.err("query", err)
	}
	return b.err("query", b.self.peek(value))
}

func (b *base) checkValue(value []byte) error {
	if n := b.info.UserValueSize(); len(value) != n {
		return fmt.Errorf("value of %d bytes, the map's have %d: %w", len(value), n, errno.EINVAL)
	}
	return nil
}

func (b *base) Update(key, value []byte, flags uint64) error {
	return b.err("update", b.doUpdate(key, value, flags))
}

func (b *base) doUpdate(key, value []byte, flags uint64) error {
	if err := b.checkUpdate(key, flags); err != nil {
		return err
	}
	if err := b.checkValue(value); err != nil {
		return err
	}
	return b.self.userUpdate(key, value, flags)
}

func (b *base) checkUpdate(key []byte, flags uint64) error {
	if !b.mayWrite() {
		return errno.EPERM
	}
	if flags&Lock != 0 && b.lock == nil {
		return errno.EINVAL
	}
	return b.checkKey(key)
}

func (b *base) UpdateRef(key []byte, ref any, flags uint64) error {
	err := b.checkUpdate(key, flags)
	if err == nil {
		err = b.self.userUpdateRef(key, ref, flags)
	}
	return b.err("update", err)
}

func (b *base) Delete(key []byte) error {
	if !b.mayWrite() {
		return b.err("delete", errno.EPERM)
	}
	err := b.checkKey(key)
	if err == nil {
		err = b.self.userRemove(key)
	}
	return b.err("delete", err)
}

func (b *base) NextKey(key []byte) ([]byte, error) {
	if !b.mayRead() {
		return nil, b.err("next key", errno.EPERM)
	}
	if key != nil {
		if err := b.checkKey(key); err != nil {
			return nil, b.err("next key", err)
		}
	}
	next, err := b.self.nextKey(key)
	return next, b.err("next key", err)
}

func (b *base) LookupAndDelete(key []byte, flags uint64) ([]byte, error) {
	v, err := b.doTake(key, flags)
	return v, b.err("lookup and delete", err)
}

func (b *base) doTake(key []byte, flags uint64) ([]byte, error) {
	if flags&^Lock != 0 {
		return nil, errno.EINVAL
	}
	if !b.mayRead() || !b.mayWrite() {
		return nil, errno.EPERM
	}
	if flags != 0 && (b.info.Type == ebpf.Queue || b.info.Type == ebpf.Stack || b.lock == nil) {
		return nil, errno.EINVAL
	}
	if err := b.checkKey(key); err != nil {
		return nil, err
	}
	return b.self.take(key, flags)
}

func (b *base) Freeze() error {
	if b.rec != nil {
		return b.err("freeze", errno.ENOTSUPP)
	}
	if b.info.Flags&ReadOnly != 0 {
		return b.err("freeze", errno.EPERM)
	}
	if b.frozen.Swap(true) {
		return b.err("freeze", errno.EPERM)
	}
	b.setHandle("map.frozen", 1)
	return nil
}

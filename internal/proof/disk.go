package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// disk is a file system in memory for a database's folder that can be filled. It uses as
// much memory as is written to it.
type disk struct{ dir string }

// roomy is the size of a disk that is not full, larger than any run needs.
const roomy = "80%"

// diskFull is the fault. A run has such a disk only if the fault is selected by name,
// because commits to memory do not wait for a device.
const diskFull = "disk full"

// newDisk needs root and the program mount. It first removes the disks of killed runs.
func newDisk(ctx context.Context, dir string) (*disk, error) {
	removeOldDisks(ctx)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return &disk{dir}, mount(ctx, "mount", "-t", "tmpfs", "-o", "mode=700,size="+roomy, namePrefix+strconv.Itoa(os.Getpid()), dir)
}

// fill shrinks the disk to its contents.
func (d *disk) fill(ctx context.Context) error {
	var at syscall.Statfs_t
	if err := syscall.Statfs(d.dir, &at); err != nil {
		return err
	}
	used := (at.Blocks - at.Bfree) * uint64(at.Bsize) //nolint:gosec // G115: a size
	return d.resize(ctx, strconv.FormatUint(used, 10))
}

// free gives the disk its size again.
func (d *disk) free(ctx context.Context) error { return d.resize(ctx, roomy) }

func (d *disk) resize(ctx context.Context, size string) error {
	return mount(ctx, "mount", "-o", "remount,size="+size, d.dir)
}

func (d *disk) close(ctx context.Context) { _ = mount(ctx, "umount", "--lazy", d.dir) }

// removeOldDisks unmounts the disks of processes that have ended.
func removeOldDisks(ctx context.Context) {
	mounts, err := os.Open("/proc/self/mounts")
	if err != nil {
		return
	}
	defer func() { _ = mounts.Close() }() // only read
	for lines := bufio.NewScanner(mounts); lines.Scan(); {
		words := strings.Fields(lines.Text())
		process, ours := strings.CutPrefix(words[0], namePrefix)
		if _, err := os.Stat("/proc/" + process); ours && errors.Is(err, os.ErrNotExist) {
			_ = mount(ctx, "umount", "--lazy", words[1])
		}
	}
}

func mount(ctx context.Context, words ...string) error {
	out, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput() //nolint:gosec // G204: our own words
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(words, " "), err, out)
	}
	return nil
}

// wantsDisk reports whether the fault is selected.
func (o options) wantsDisk() bool { return slices.Contains(strings.Split(o.faults, ","), diskFull) }

// fillDisk fills the database's disk, frees it after a while, and waits until every server
// can write again. MySQL checks for space once a minute.
func (f *field) fillDisk(ctx context.Context, plan *rand.Rand) (string, error) {
	full := between(plan, 5*time.Second, 10*time.Second)
	d := f.ground.disk()
	if err := d.fill(ctx); err != nil {
		return "", err
	}
	pause(ctx, full)
	if err := d.free(ctx); err != nil {
		return "", err
	}
	freed := time.Now()
	if err := f.ground.revive(ctx); err != nil {
		return "", err
	}
	for limit := time.Now().Add(2 * time.Minute); ; pause(ctx, 100*time.Millisecond) {
		if !slices.ContainsFunc(f.servers, func(t *target) bool { return !t.ready.Load() }) {
			return fmt.Sprintf("full %s, ready %s later", full, seconds(time.Since(freed))), nil
		}
		if time.Now().After(limit) || ctx.Err() != nil {
			return "", errors.Join(errors.New("a server is not ready although there is room again"), ctx.Err())
		}
	}
}

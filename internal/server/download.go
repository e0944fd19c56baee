package server

import (
	"io"
	"net/http"
	"time"
)

// downloadStall limits the time for a client to accept the next piece of a download. The
// sender can hold resources for as long: during a backup freed pages of the state file
// cannot be reused, and in the end writes would block.
const downloadStall = 30 * time.Second

// Download sends a file while write makes it. It may take longer than other answers, but
// a client that stops reading for 30 seconds is disconnected. Browsers save the file under
// the name, if there is one. An error before the first byte is returned; after it, the
// connection is aborted, so that a truncated file does not look complete.
func Download(w http.ResponseWriter, name string, write func(io.Writer) error) error {
	to := &download{w: w, control: http.NewResponseController(w), name: name}
	err := write(to)
	switch {
	case !to.started:
		return err
	case err != nil:
		panic(http.ErrAbortHandler)
	}
	return to.control.SetWriteDeadline(time.Time{}) // the connection may be reused
}

// A download sets its headers with the first byte, and a deadline for each piece.
type download struct {
	w       http.ResponseWriter
	control *http.ResponseController
	name    string
	started bool
}

func (d *download) Write(p []byte) (int, error) {
	if !d.started {
		d.started = true
		d.w.Header().Set("Content-Type", "application/octet-stream")
		if d.name != "" {
			d.w.Header().Set("Content-Disposition", `attachment; filename="`+d.name+`"`)
		}
	}
	if err := d.control.SetWriteDeadline(time.Now().Add(downloadStall)); err != nil {
		return 0, err
	}
	return d.w.Write(p)
}

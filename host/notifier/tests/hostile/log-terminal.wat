;; Logs what would make a second line, clear the screen, name the terminal and write backwards.
;; expect: delivered
;; log: 1
;; seen: guest says 2026-01-01 ERROR forged  [2J ]0;owned  31m  end

(data (i32.const 512) "guest says\0a2026-01-01 ERROR forged\0d\1b[2J\1b]0;owned\07\c2\9b31m\e2\80\ae\e2\80\a8end")
(func (export "notify") (param i32) (result i32)
  (call $log (i32.const 2) (i32.const 512) (i32.const 63))
  (i32.const 256))

;; Has answered, and then cleans up without end.
;; expect: cpu: the plugin `hostile` used up its 50 ms of CPU time

(func (export "post-notify") (param i32)
  (loop (br 0)))

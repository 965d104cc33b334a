;; Looks at the settings without end.
;; expect: cpu: the plugin `hostile` used up its 50 ms of CPU time
;; call: validate

(func (export "validate") (param i32 i32) (result i32)
  (loop (br 0)) (unreachable))

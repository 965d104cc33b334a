;; Answers neither yes nor no.
;; expect: trap: the plugin `hostile` crashed: invalid expected discriminant

(data (i32.const 256) "\09")

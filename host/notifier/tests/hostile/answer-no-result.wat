;; Answers neither yes nor no.
;; expect: bad return: the plugin `hostile` handed over what can't be read: invalid expected discriminant

(data (i32.const 256) "\09")

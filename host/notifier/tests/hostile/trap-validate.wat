;; Crashes while it looks at the settings.
;; expect: trap: the plugin `hostile` crashed: wasm trap: wasm `unreachable` instruction executed
;; call: validate

(func (export "validate") (param i32 i32) (result i32)
  (unreachable))

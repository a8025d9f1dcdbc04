/** What was read lately, up to so many bytes; what was asked for longest ago goes first. */
export class ByteCache<Value> {
  readonly #held = new Map<number, { readonly value: Value; readonly bytes: number }>()
  readonly #mostBytes: number
  #bytes = 0

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  get(height: number): Value | undefined {
    const held = this.#held.get(height)
    if (held === undefined) return undefined
    this.#held.delete(height)
    this.#held.set(height, held)
    return held.value
  }

  set(height: number, value: Value, bytes: number): void {
    this.delete(height)
    this.#held.set(height, { value, bytes })
    this.#bytes += bytes
    for (const oldest of this.#held.keys()) {
      if (this.#bytes <= this.#mostBytes) return
      this.delete(oldest)
    }
  }

  delete(height: number): void {
    this.#bytes -= this.#held.get(height)?.bytes ?? 0
    this.#held.delete(height)
  }

  get bytes(): number {
    return this.#bytes
  }
}

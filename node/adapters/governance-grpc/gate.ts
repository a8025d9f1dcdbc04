/** Where readers of streams wait while their actor has too much to do (SU-9): what is not read stays with its sender. */
export class Gate {
  private opened: Promise<void> | undefined
  private release: () => void = () => {}

  get isClosed(): boolean {
    return this.opened !== undefined
  }

  close(): void {
    this.opened ??= new Promise((resolve) => {
      this.release = resolve
    })
  }

  open(): void {
    this.opened = undefined
    this.release()
  }

  /** Resolves at once while it is open. */
  async passed(): Promise<void> {
    while (this.opened !== undefined) await this.opened
  }
}

/** A world of the simulator whose time passes by itself, so that its ports can be tried like real ones. */
import { Life } from '../sim/life.ts'
import { START_MS, World } from '../sim/world.ts'

/** Virtual milliseconds in one turn of the real event loop's timers. */
const STEP_MS = 10

export class RunningWorld {
  readonly world = new World(1)
  #running = true

  constructor() {
    void this.#run()
  }

  life(name = 'node'): Life {
    return new Life(this.world, name, { offsetMs: 0 }, () => {})
  }

  stop(): void {
    this.#running = false
  }

  async #run(): Promise<void> {
    while (this.#running) {
      await this.world.run(this.world.nowMs - START_MS + STEP_MS)
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }
}

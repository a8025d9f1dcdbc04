/** Takes worlds from its parent process, one at a time, until the parent lets go of it. */
import { type Task, Worlds } from './worlds.ts'

const worlds = new Worlds()

// A world may run for minutes: nobody is left to hear of it.
process.on('disconnect', () => process.exit(0))

process.on('message', (task) => {
  worlds.run(task as Task).then(
    (report) => process.send?.(report),
    (thrown: unknown) => {
      process.stderr.write(`${String(thrown)}\n`)
      process.exit(1)
    },
  )
})

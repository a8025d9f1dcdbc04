'use strict'
/* Prints the closing line `N passed, N failed, N skipped` and the reasons of what was skipped. */
module.exports = class ClosingLine {
  onRunComplete(_contexts, results) {
    const broken = results.testResults.filter((file) => file.testExecError).length
    const failed = results.numFailedTests + broken
    const skipped = results.numPendingTests + results.numTodoTests
    for (const file of results.testResults) {
      for (const test of file.testResults) {
        if (test.status === 'pending') process.stderr.write(`skipped: ${test.fullName}\n`)
      }
    }
    process.stdout.write(`${results.numPassedTests} passed, ${failed} failed, ${skipped} skipped\n`)
  }
}

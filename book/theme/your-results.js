// Shows a reader's own benchmark figures beside ours: a column in every table of figures.
//
// They are in your-results.json beside the pages, where
// `cargo run --release -p benches -- --json book/src/your-results.json` has put them. Without that file, or where a
// page is opened from a disk and may load nothing, the tables stay as they are.
(async () => {
    const tables = document.querySelectorAll("table.figures");
    if (tables.length === 0) return;
    const report = await fetch(`${path_to_root}your-results.json`)
        .then((answer) => (answer.ok ? answer.json() : null))
        .catch(() => null);
    if (report?.schema !== 2) return;

    const scales = {
        "ns": [["ns", 1], ["µs", 1e3], ["ms", 1e6], ["s", 1e9]],
        "bytes/s": [["kB/s", 1e3], ["MB/s", 1e6], ["GB/s", 1e9], ["TB/s", 1e12]],
        "1/s": [["/s", 1], ["k/s", 1e3], ["M/s", 1e6], ["G/s", 1e9]],
    };
    const figure = (value, unit) => {
        const fits = scales[unit].findLast(([, scale]) => value >= 0.9995 * scale) ?? scales[unit][0];
        return `${(value / fits[1]).toPrecision(3)} ${fits[0]}`;
    };
    const shown = (row) => {
        const ratio = row.ratio !== null && row.role !== "floor" ? ` (${row.ratio.toFixed(2)})` : "";
        return figure(row.median, row.unit) + ratio + (row.noisy ? " ~" : "");
    };
    const yours = new Map(
        report.rows.map((row) => [[row.question, row.subject, row.role, row.size].join("|"), shown(row)]),
    );
    const cell = (kind, text) => {
        const cell = document.createElement(kind);
        cell.className = "yours";
        cell.textContent = text;
        return cell;
    };
    for (const table of tables) {
        table.tHead.rows[0].append(cell("th", "yours (ratio)"));
        for (const row of table.tBodies[0].rows) {
            row.append(cell("td", yours.get(row.dataset.row) ?? "-"));
        }
    }
})();

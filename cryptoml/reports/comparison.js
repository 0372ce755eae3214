"use strict";
(() => {
  const report = JSON.parse(document.getElementById("data").textContent);
  const narrow = () => window.innerWidth < 700;
  const base = () => ({
    font: { family: "system-ui, sans-serif", size: narrow() ? 11 : 13, color: "#222" },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { t: 20, l: 60, r: 20, b: 50 },
    height: narrow() ? 400 : 440,
    legend: { orientation: "h", yanchor: "bottom", y: 1.02 },
    modebar: { orientation: "v", bgcolor: "rgba(0,0,0,0)", color: "#bbb", activecolor: "#444" },
  });
  const axis = { gridcolor: "#e4e4e4", zerolinecolor: "#888", automargin: true };
  const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d"] };

  function draw(key, figure) {
    const layout = { ...base(), ...figure.layout };
    layout.xaxis = { ...axis, ...(figure.layout.xaxis || {}) };
    layout.yaxis = { ...axis, ...(figure.layout.yaxis || {}) };
    Plotly.react(document.getElementById("chart-" + key), figure.data, layout, config);
  }

  for (const [key, figure] of Object.entries(report.figures)) draw(key, figure);

  const pickX = document.getElementById("metric-x");
  const pickY = document.getElementById("metric-y");
  function scatter() {
    const { titles, runs } = report.metrics;
    const data = runs
      .filter((run) => run.values[pickX.value] !== null && run.values[pickY.value] !== null)
      .map((run) => ({
        type: "scatter",
        mode: "markers",
        name: run.name,
        x: [run.values[pickX.value]],
        y: [run.values[pickY.value]],
        marker: { size: 12, color: run.colour },
      }));
    const layout = {
      xaxis: { title: { text: titles[pickX.value] } },
      yaxis: { title: { text: titles[pickY.value] } },
      showlegend: runs.length <= 20,
    };
    draw("scatter", { data, layout });
  }
  for (const pick of [pickX, pickY]) pick.addEventListener("change", scatter);
  scatter();

  // Persistence stays in the first row, as the baseline.
  const table = document.getElementById("runs");
  const body = table.tBodies[0];
  const value = (row, column) => {
    const text = row.cells[column].dataset.value;
    return text === "" ? null : isNaN(text) ? text : Number(text);
  };
  for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
    const button = head.querySelector("button");
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...body.rows].sort((one, two) => {
        const fixed = Number(two.dataset.baseline) - Number(one.dataset.baseline);
        if (fixed) return fixed;
        const [a, b] = [value(one, column), value(two, column)];
        if (a === null || b === null) return (a === null) - (b === null);
        const order = typeof a === "string" ? String(a).localeCompare(String(b)) : a - b;
        return up ? order : -order;
      });
      body.append(...rows);
    });
  }
  document.body.dataset.ready = "true";
})();

export default function AnswerFigures() {
  const plain = props.state === "complete";
  return (
    <div
      className={plain ? "answer-figures" : "answer-figures answer-figures-not-whole"}
      data-state={props.state}
    >
      {props.line}
    </div>
  );
}

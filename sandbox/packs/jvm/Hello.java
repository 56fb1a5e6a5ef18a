import java.util.ArrayList;
import java.util.List;

/** What the compiler is shown once, so that it knows what it loads for most programs. */
public class Hello {
    record Point(int x, int y) {}

    enum Colour { RED, GREEN }

    interface Shape { double area(); }

    public static void main(String[] args) {
        List<Point> points = new ArrayList<>();
        for (int n = 0; n < 3; n++) points.add(new Point(n, n * n));
        var sum = points.stream().mapToInt(point -> point.y()).sum();
        Shape shape = () -> sum * 1.5;
        String text = switch (Colour.RED) { case RED -> "hello"; case GREEN -> "bye"; };
        try {
            System.out.println(shape.area() > 0 ? text : "" + sum);
        } catch (RuntimeException problem) {
            throw new IllegalStateException(problem);
        }
    }
}
